// The reaction of compare_react.py on @rotorsoft/act and its SQLite store: fills streams with deposits, says "ready", then
// waits for a line, correlates and drains until each deposit has been handled; says "done" then.
//
//     node reactions.mjs FILE STREAMS EVENTS_EACH

import { createInterface } from "node:readline";
import { act, dispose, state, store } from "@rotorsoft/act";
import { SqliteStore } from "@rotorsoft/act-sqlite";
import { z } from "zod";

const [file, streams, eventsEach] = process.argv.slice(2);
const expected = Number(streams) * Number(eventsEach);
let handled = 0;

const Account = state({ Account: z.object({ balance: z.number() }) })
  .init(() => ({ balance: 0 }))
  .emits({ Deposited: z.object({ amount: z.number() }) })
  .patch({ Deposited: ({ data }, account) => ({ balance: account.balance + data.amount }) })
  .on({ deposit: z.object({ amount: z.number() }) })
  .emit((asked) => ["Deposited", asked])
  .build();

store(new SqliteStore({ url: `file:${file}` }));
await store().seed();
const app = act()
  .withState(Account)
  .on("Deposited")
  .do(async function react() {
    handled += 1;
  })
  .to((event) => ({ target: `react-${event.stream}` }))
  .build();
const deposits = Array.from({ length: Number(eventsEach) }, () => ({ name: "Deposited", data: { amount: 5 } }));
for (let i = 0; i < Number(streams); i++) {
  await store().commit(`account-${i}`, deposits, { correlation: "bench", causation: {} });
}

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
console.log("ready");
await lines.next();
while (handled < expected) {
  await app.correlate({ limit: 10_000 });
  await app.drain({ streamLimit: 100, eventLimit: 100 });
}
console.log("done");
await dispose()();
process.exit(0);
