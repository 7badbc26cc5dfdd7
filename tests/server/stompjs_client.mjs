// A client of @stomp/stompjs that goes through what the library can do, and prints one JSON line for each step.
// The first argument is the WebSocket URL. Exit status 0: every step came to its end.
import { Client } from "@stomp/stompjs";
import WebSocket from "ws";

const tell = (step, fields = {}) => console.log(JSON.stringify({ step, ...fields }));
const fail = (why) => {
  tell("failed", { why });
  process.exit(1);
};
setTimeout(() => fail("no end after 20 s"), 20000).unref();

let beats = 0;
const client = new Client({
  webSocketFactory: () => new WebSocket(process.argv[2], ["v12.stomp", "v11.stomp", "v10.stomp"]),
  reconnectDelay: 0,
  heartbeatIncoming: 50,
  heartbeatOutgoing: 600,
  heartbeatToleranceMultiplier: 200, // of a busy machine, not of the server
  debug: (line) => {
    if (line.includes("PONG")) beats += 1;
  },
  onStompError: (frame) => fail(frame.headers.message),
  onWebSocketError: (event) => fail(String(event.message)),
});

// Messages of one subscription, as promises.
const inbox = () => {
  const waiting = [];
  const arrived = [];
  return {
    take: (message) => (waiting.length ? waiting.shift()(message) : arrived.push(message)),
    next: () => (arrived.length ? Promise.resolve(arrived.shift()) : new Promise((done) => waiting.push(done))),
  };
};
const receipted = (receipt, act) =>
  new Promise((done) => {
    client.watchForReceipt(receipt, done);
    act({ receipt });
  });

client.onConnect = async (connected) => {
  tell("connected", { version: connected.headers.version, protocol: client.webSocket.protocol });

  const box = inbox();
  const headers = { id: "1", ack: "client-individual" };
  const subscription = client.subscribe("/queue/js", box.take, headers);
  await receipted("sent", (extra) => client.publish({ destination: "/queue/js", body: "grüße: 日本", headers: extra }));
  const first = await box.next();
  tell("message", { body: first.body });
  first.nack();
  const again = await box.next();
  tell("redelivered", { body: again.body, redelivered: again.headers.redelivered });
  await receipted("acknowledged", (extra) => again.ack(extra));

  // The library decodes a backslash before a "c" wrongly, so none is sent.
  const octets = new Uint8Array([0, 255, 10, 0, 1]);
  client.publish({ destination: "/queue/js", binaryBody: octets, headers: { x: "a:b\\d\ne" } });
  const binary = await box.next();
  tell("binary", { octets: Array.from(binary.binaryBody), x: binary.headers.x });
  binary.ack();

  for (const end of ["abort", "commit"]) {
    const transaction = client.begin();
    client.publish({ destination: "/queue/js", body: end, headers: { transaction: transaction.id } });
    transaction[end]();
  }
  const committed = await box.next();
  tell("transacted", { body: committed.body });
  committed.ack();
  await receipted("unsubscribed", (extra) => subscription.unsubscribe(extra));

  const heard = beats;
  const watch = setInterval(() => {
    if (beats < heard + 5) return;
    clearInterval(watch);
    tell("beats");
    client.deactivate().then(() => tell("end"));
  }, 10);
};
client.activate();
