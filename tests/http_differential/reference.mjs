// Node's http server with all defaults: it describes every request. Started with `node reference.mjs ADDRESS:PORT`, it prints
// the address it serves and ends with its standard input.

import { createServer } from 'node:http';

const [host, port] = process.argv[2].split(':');

const server = createServer((request, response) => {
  const pieces = [];
  request.on('data', (piece) => pieces.push(piece));
  request.on('end', () => {
    // Go answers this one itself and says nothing.
    if (request.url === '*') return response.end();
    const body = Buffer.concat(pieces);
    const text = Buffer.from(`${request.method} ${request.url} ${body.length}\n`);
    // Without a length node closes the connections of HTTP/1.0 clients.
    const length = text.length + body.length;
    response.writeHead(200, { 'Content-Type': 'text/plain', 'Content-Length': length });
    response.end(Buffer.concat([text, body]));
  });
});

// Else a client that has sent all its requests and shuts down its side loses the answers that are not written yet.
server.httpAllowHalfOpen = true;

server.listen({ host, port: Number(port) }, () => {
  const { address, port } = server.address();
  console.log(`serving on ${address}:${port}; node ${process.versions.node}`);
});

process.stdin.resume().on('end', () => process.exit());
