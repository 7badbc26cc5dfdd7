// The history of two workers, written by JavaScript: the second gets the next record of a partition while the first holds
// one of it ("bad"), or the first gets it
// after it has acknowledged that.
const bad = process.argv[2] === "bad"
const events = []
let now = 0
const add = (op, who, more, outcome = "ok") =>
  events.push({ op, process: who, begin: ++now, end: now + 0.5, outcome, consumer: who, ...more })
const record = (offset) => ({
  records: [{ id: offset, topic: "orders", text: `order ${offset}`, key: null, partition: 0, offset }],
})
for (const offset of [0, 1])
  events.push({
    op: "publish", process: "shop", begin: ++now, end: now + 0.5, outcome: "ok",
    topic: "orders", text: `order ${offset}`, partition: 0, offset,
  })
for (const who of ["ann", "bob"]) add("join", who, { group: "shop", topics: ["orders"] })
now += 20
for (const who of ["ann", "bob"]) add("heartbeat", who, {})
add("poll", "ann", record(0))
if (bad) add("poll", "bob", record(1))
add("acknowledge", "ann", { id: 0 })
if (!bad) add("poll", "ann", record(1))
add("acknowledge", bad ? "bob" : "ann", { id: 1 })
for (const who of ["ann", "bob"]) add("heartbeat", who, {})
const facts = {
  kind: "history", format: 1, tells: ["positions", "emptiness"], partitions: { orders: 1 },
  timings: { heartbeat_timeout: 60, eviction_grace: 1, rebalance_hold: 5, rebalance_limit: 5 },
  promises: ["one-in-flight", "order-within-partition"],
}
console.log([facts, ...events].map((line) => JSON.stringify(line)).join("\n"))
