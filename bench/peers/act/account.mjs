// The account of workloads/bank.py on @rotorsoft/act and its SQLite store: opens accounts, says "ready", then waits for a
// line and deposits into each account in turn; says "done" when all is committed.
//
//     node account.mjs FILE ACCOUNTS ACTIONS_EACH

import { createInterface } from "node:readline";
import { act, dispose, state, store } from "@rotorsoft/act";
import { SqliteStore } from "@rotorsoft/act-sqlite";
import { z } from "zod";

const [file, accounts, actionsEach] = process.argv.slice(2);
const streams = Array.from({ length: Number(accounts) }, (_, i) => `account-${i}`);
const actor = { id: "bench", name: "bench" };

const Account = state({ Account: z.object({ owner: z.string(), balance: z.number() }) })
  .init(() => ({ owner: "", balance: 0 }))
  .emits({ Opened: z.object({ owner: z.string() }), Deposited: z.object({ amount: z.number() }) })
  .patch({
    Opened: ({ data }) => ({ owner: data.owner }),
    Deposited: ({ data }, account) => ({ balance: account.balance + data.amount }),
  })
  .on({ open: z.object({ owner: z.string() }) })
  .emit((asked) => ["Opened", asked])
  .on({ deposit: z.object({ amount: z.number() }) })
  .emit((asked) => ["Deposited", asked])
  .build();

store(new SqliteStore({ url: `file:${file}` }));
await store().seed();
const app = act().withState(Account).build();
for (const stream of streams) await app.do("open", { stream, actor }, { owner: "Ada" });

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
console.log("ready");
await lines.next();
for (let i = 0; i < Number(actionsEach); i++) {
  for (const stream of streams) await app.do("deposit", { stream, actor }, { amount: 5 });
}
console.log("done");
await dispose()();
process.exit(0);
