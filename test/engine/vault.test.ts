import assert from "node:assert/strict";
import { test } from "node:test";
import { realRng } from "../../src/engine/real.ts";
import { KEY_BYTES, SealBroken, Vault } from "../../src/engine/vault.ts";

const vault = new Vault(realRng.bytes(KEY_BYTES), realRng);
const sealedKey = vault.newSealedKey("org_a");
const safe = vault.safeOf("org_a", sealedKey);
const DETAILS = { account: "DE89370400440532013000", name: "Ada" };

test("what is sealed opens with its own binding, and the text is nowhere in it", () => {
  const sealed = safe.seal(DETAILS, "destination:org_a:1");
  assert.deepEqual(safe.open(sealed, "destination:org_a:1"), DETAILS);
  assert.ok(!Buffer.from(sealed).includes("DE8937"));
});

test("another binding, another key, or one flipped bit opens nothing", () => {
  const sealed = safe.seal(DETAILS, "destination:org_a:1");
  assert.throws(() => safe.open(sealed, "destination:org_a:2"), SealBroken);
  const other = vault.safeOf("org_b", vault.newSealedKey("org_b"));
  assert.throws(() => other.open(sealed, "destination:org_a:1"), SealBroken);
  for (let at = 0; at < sealed.length; at += 1) {
    const bent = Uint8Array.from(sealed);
    bent[at] = (bent[at] ?? 0) ^ 1;
    assert.throws(() => safe.open(bent, "destination:org_a:1"), SealBroken, `byte ${at}`);
  }
  assert.throws(() => safe.open(sealed.subarray(0, 20), "destination:org_a:1"), SealBroken);
});

test("a data key opens only for its own book and under its own master key", () => {
  assert.throws(() => vault.safeOf("org_b", sealedKey), SealBroken);
  const stranger = new Vault(realRng.bytes(KEY_BYTES), realRng);
  assert.throws(() => stranger.safeOf("org_a", sealedKey), SealBroken);
  assert.throws(() => new Vault(realRng.bytes(16), realRng), /32 bytes/);
});

test("a fingerprint is equal for equal details, differs by book, and hides them", () => {
  const turned = { name: "Ada", account: "DE89370400440532013000" };
  assert.equal(safe.fingerprint(DETAILS), safe.fingerprint(turned));
  assert.notEqual(safe.fingerprint(DETAILS), safe.fingerprint({ ...DETAILS, name: "Grace" }));
  const other = vault.safeOf("org_b", vault.newSealedKey("org_b"));
  assert.notEqual(safe.fingerprint(DETAILS), other.fingerprint(DETAILS));
});
