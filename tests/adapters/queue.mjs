// An adapter in JavaScript, with a queue of its own in memory: `node queue.mjs [FAULT]`.
//
// Faults, one for each way in which an adapter or an engine is usually wrong: `commits-early` counts a record as done when it
// hands it out, `keeps` forgets a record whose holder left, `two-owners` hands a partition to any member that polls.
import { createInterface } from "node:readline"

const fault = process.argv[2] ?? ""
const TIMEOUT = 1200, GRACE = 400 // milliseconds of silence
const topics = new Map() // name → partitions, each a list of records
const groups = new Map() // name → { members, cursors }
const consumers = new Map() // name → { group, topics, heard }
let keyless = 0, deliveries = 0

const refused = (reason) => ({ outcome: "refused", reason })
const hash = (text) => [...text].reduce((sum, one) => (sum * 31 + one.codePointAt(0)) >>> 0, 7)

const leave = (name) => {
  const consumer = consumers.get(name)
  if (!consumer) return
  consumers.delete(name)
  const group = groups.get(consumer.group)
  group.members.delete(name)
  for (const cursor of group.cursors.values())
    if (cursor.holder === name) {
      cursor.holder = null
      if (fault === "keeps") cursor.next++
    }
}

const evict = () => {
  for (const [name, consumer] of consumers)
    if (Date.now() - consumer.heard > TIMEOUT + GRACE / 2) leave(name)
}

// The cursor of a group in a partition: the next offset, who holds the record there, and the delivery's number.
const cursor = (group, topic, partition) => {
  const name = `${topic}/${partition}`
  if (!group.cursors.has(name)) group.cursors.set(name, { next: 0, holder: null, id: 0, owner: null })
  return group.cursors.get(name)
}

const member = (request) => {
  const consumer = consumers.get(request.consumer)
  if (consumer) consumer.heard = Date.now()
  return consumer
}

// A partition belongs to the member whose turn it is; one that holds a record keeps it until the record is settled.
const owner = (group, at, partition) => {
  const names = [...group.members]
  if (at.holder && names.includes(at.holder)) return at.holder
  return names[partition % names.length]
}

const take = (consumer, request) => {
  const group = groups.get(consumer.group)
  for (const topic of consumer.topics)
    for (const [partition, log] of (topics.get(topic) ?? []).entries()) {
      const at = cursor(group, topic, partition)
      const mine = fault === "two-owners" || owner(group, at, partition) === request.consumer
      const free = !at.holder || (fault === "two-owners" && at.holder !== request.consumer)
      if (!mine || !free || at.next >= log.length) continue
      const { text, key } = log[at.next]
      const record = { id: ++deliveries, topic, text, key, partition, offset: at.next }
      if (fault === "commits-early") at.next++
      else Object.assign(at, { holder: request.consumer, id: deliveries })
      return record
    }
}

const settle = (request, step) => {
  const consumer = member(request)
  if (!consumer) return refused("not a member")
  if (fault === "commits-early") return {}
  const { topic, partition, id } = request.record
  const at = cursor(groups.get(consumer.group), topic, partition)
  if (at.holder !== request.consumer || at.id !== id) return refused("not in flight")
  Object.assign(at, { holder: null, next: at.next + step })
  return {}
}

const answers = {
  hello: () => ({
    name: "a queue in JavaScript", version: process.version,
    abilities: Object.keys(answers).filter((name) => name !== "hello"),
    facts: {
      timings: {
        heartbeat_timeout: TIMEOUT / 1000, eviction_grace: GRACE / 1000, rebalance_hold: 60, rebalance_limit: 0, slack: 2,
      },
      tells: ["positions"],
      promises: [
        "order-within-partition", "order-by-key", "one-in-flight", "at-least-once", "no-phantom",
        "no-redelivery-after-acknowledgement", "late-acknowledgement-refused", "redelivered-before-its-successors",
        "one-owner-at-a-time", "start-at-the-oldest",
      ],
    },
  }),
  "create-topic": ({ topic, partitions }) => {
    topics.set(topic, Array.from({ length: partitions }, () => []))
    return { partitions }
  },
  publish: ({ topic, text, key }) => {
    const log = topics.get(topic)
    if (!log) return refused("no such topic")
    const partition = (key === null ? keyless++ : hash(key)) % log.length
    log[partition].push({ text, key })
    return { partition, offset: log[partition].length - 1 }
  },
  join: (request) => {
    const { consumer, group, topics: names } = request
    if (!groups.has(group)) groups.set(group, { members: new Set(), cursors: new Map() })
    groups.get(group).members.add(consumer)
    consumers.set(consumer, { group, topics: names, heard: Date.now() })
    return {}
  },
  acknowledge: (request) => settle(request, 1),
  "give-back": (request) => settle(request, 0),
  heartbeat: (request) => (member(request) ? {} : refused("not a member")),
  leave: (request) => (leave(request.consumer), {}),
  cut: () => ({}),
  silence: () => ({}),
  poll: (request, until = Date.now() + request.wait * 1000) => {
    const consumer = member(request)
    if (!consumer) return refused("not a member")
    const record = take(consumer, request)
    if (record || Date.now() > until) return { records: record ? [record] : [] }
    return new Promise((resolve) => setTimeout(() => resolve(answers.poll(request, until)), 10))
  },
}

setInterval(evict, 20).unref()
createInterface({ input: process.stdin }).on("line", async (line) => {
  const request = JSON.parse(line)
  const answer = await (answers[request.op] ?? (() => ({ outcome: "unsupported" })))(request)
  console.log(JSON.stringify({ outcome: "ok", ...answer, id: request.id }))
})
