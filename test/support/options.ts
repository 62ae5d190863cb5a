/**
 * A whole number as the command line gave it: of how much, so many; of a seed, which. What makes no sense is no run that
 * found nothing.
 *
 * @throws TypeError that names the option.
 */
export function wholeNumber(name: string, text: string, least = 1): number {
  const number = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  if (number >= least) return number;
  throw new TypeError(`--${name} takes a whole number from ${least}, not ${text}`);
}

/** A seed: the one that was named, or any. */
export function seedFrom(text: string | undefined, draw: () => number): number {
  return text === undefined ? draw() : wholeNumber("seed", text, 0);
}
