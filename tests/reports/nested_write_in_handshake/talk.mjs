// Serves and asks over TLS: CERTIFICATE KEY REQUESTS. Prints the port and waits for a line; then asks, and prints how many were answered.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { createInterface } from 'node:readline';
import { connect } from 'node:tls';

const [, , cert, key, count] = process.argv;
process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0';
process.removeAllListeners('warning');

const server = createServer({ cert: readFileSync(cert), key: readFileSync(key) }, (request, response) => {
  response.setHeader('Connection', 'close');
  response.end('hello');
});

function ask(port, path) {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false });
    socket.on('secureConnect', () => socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`));
    socket.on('data', () => {});
    socket.on('end', () => { socket.destroy(); resolve(1); });
    socket.on('error', reject);
  });
}

server.listen(0, '127.0.0.1', () => {
  const { port } = server.address();
  console.log(port);
  createInterface({ input: process.stdin }).once('line', async () => {
    let written = 0, fetched = 0;
    for (let index = 0; index < Number(count); index++) {
      written += await ask(port, '/written');
      fetched += (await (await fetch(`https://127.0.0.1:${port}/fetched`)).text()) === 'hello' ? 1 : 0;
    }
    console.log(`${written} ${fetched}`);
    process.exit(0);
  });
});
