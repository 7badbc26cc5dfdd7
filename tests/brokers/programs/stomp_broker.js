// stomp-broker-js at /stomp of an HTTP server: arguments are the folder with node_modules and the port.
const path = require("path");
const http = require("http");
const [folder, port] = process.argv.slice(2);
const StompServer = require(path.join(folder, "node_modules", "stomp-broker-js"));

// A malformed frame raises where nobody can catch it, and would end the process.
process.on("uncaughtException", (error) => console.error(error));
const server = http.createServer((request, response) => {
  response.writeHead(404);
  response.end();
});
new StompServer({ server, path: "/stomp" });
server.listen(Number(port), "127.0.0.1");
