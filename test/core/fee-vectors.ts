/**
 * Published fee vectors for payouts: an account in USD, a service in UAH at 30.959723 UAH per USD, both with two
 * decimals, no maximum fee. Source: github.com/paycoreio/docs, "[public] Commerce operations fee test data.xlsx"; the
 * row is `P` of sheet "Payout" or `E` of sheet "Payout Extended" with its number there. `s_` is the service's side.
 */
const VECTORS = `
row  rate  fixed  min  strategy  rev   given  in      amount   writeoff        fee    s_amount  s_writeoff       s_fee
P2   0.05      0    0  external  no      100  UAH       3.23       3.40       0.17      100.00      105.00        5.00
P4   0.05      0    0  external  yes     100  UAH       3.07       3.24       0.17       95.23      100.00        4.77
P6   0.05      0    0  internal  no      100  UAH       3.06       3.24       0.18       95.00      100.00        5.00
P8   0.05      0    0  internal  yes    3000  UAH      96.90     102.01       5.11     3000.00     3157.90      157.90
E2   0.03      1    0  external  no      100  UAH       3.23       3.36       0.13      100.00      104.00        4.00
E4   0.03     10    0  external  no        1  UAH       0.03       0.36       0.33        1.00       11.03       10.03
E6   0.03    100    0  external  no   100000  UAH    3230.00    3330.14     100.14   100000.00   103100.00     3100.00
E8   0.03     10    0  external  no      100  USD     100.00     103.33       3.33     3095.97     3198.85      102.88
E10  0.03     10    0  external  no        1  USD       1.00       1.36       0.36       30.95       41.88       10.93
E12   0.5    100    0  external  no   100000  USD  100000.00  150003.24   50003.24  3095972.30  4644058.45  1548086.15
E14  0.03     10    0  external  yes     100  UAH       2.82       3.24       0.42       87.37      100.00       12.63
E16  0.03     10    0  external  yes      15  UAH       0.15       0.49       0.34        4.85       15.00       10.15
E18   0.1     10   20  external  yes      21  UAH       0.03       0.68       0.65        1.00       21.00       20.00
E20  0.03     10    0  external  yes     100  USD      96.77     100.00       3.23     2996.09     3095.98       99.89
E22  0.03     10    0  external  yes       1  USD       0.65       1.00       0.35       20.34       30.96       10.62
E24  0.03    100    0  external  yes  100000  USD   97084.24  100000.00    2915.76  3005701.26  3095972.30    90271.04
E26  0.03     10    0  internal  no      100  UAH       2.81       3.24       0.43       87.00      100.00       13.00
E28  0.03    100    0  internal  no   100000  UAH    3129.87    3230.01     100.14    96900.00   100000.00     3100.00
E30   0.1     10   20  internal  no       21  UAH       0.03       0.68       0.65        1.00       21.00       20.00
E32  0.03     10    0  internal  no      100  USD      96.67     100.00       3.33     2993.10     3095.98      102.88
E34  0.03    100    0  internal  no   100000  USD   96996.76  100000.00    3003.24  3002993.13  3095972.30    92979.17
E36   0.1     10   20  internal  no        1  USD       0.35       1.00       0.65       10.96       30.96       20.00
E38  0.03      1    0  internal  yes     100  UAH       3.23       3.37       0.14      100.00      104.13        4.13
E40  0.03    100    0  internal  yes  100000  UAH    3230.00    3333.24     103.24   100000.00   103195.88     3195.88
E42   0.1     10   20  internal  yes       1  UAH       0.03       0.68       0.65        1.00       21.00       20.00
E44  0.03      1    0  internal  yes     100  USD     100.00     103.13       3.13     3095.97     3192.76       96.79
E46   0.5    100    0  internal  yes  100000  USD  100000.00  200006.47  100006.47  3095972.30  6192144.60  3096172.30
E48   0.1     10   20  internal  yes       1  USD       1.00       1.65       0.65       30.95       50.95       20.00
`;

export const VECTOR_RATE = "30.959723";

/** One vector as text: amounts in major units, by the name of their column. */
export type FeeVector = Readonly<Record<string, string>>;

export const FEE_VECTORS: readonly FeeVector[] = readTable(VECTORS);

function readTable(table: string): FeeVector[] {
  const [columns = [], ...rows] = table
    .trim()
    .split("\n")
    .map((line) => line.split(/ +/));
  return rows.map((cells) => Object.fromEntries(columns.map((column, index) => [column, cells[index] ?? ""])));
}
