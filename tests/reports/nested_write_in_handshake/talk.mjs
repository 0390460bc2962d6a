// Serves and asks over TLS, and beside that in the clear: CERTIFICATE KEY REQUESTS. Prints both ports and waits for a line; then asks, and
// prints how many were answered: written within the callback of a handshake, fetched, and asked in the clear from that callback.
import { readFileSync } from 'node:fs';
import { createServer as createPlainServer } from 'node:http';
import { createServer } from 'node:https';
import { connect as connectPlain } from 'node:net';
import { createInterface } from 'node:readline';
import { connect } from 'node:tls';

const [, , cert, key, count] = process.argv;
process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0';
process.removeAllListeners('warning');

const server = createServer({ cert: readFileSync(cert), key: readFileSync(key) }, (request, response) => {
  response.setHeader('Connection', 'close');
  response.end('hello');
});

const plainServer = createPlainServer((request, response) => response.end('aside'));
let aside, asideAnswers = 0;

function ask(port, path) {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false });
    socket.on('secureConnect', () => {
      aside.write('GET /aside HTTP/1.1\r\nHost: localhost\r\n\r\n');
      socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`);
    });
    socket.on('data', () => {});
    socket.on('end', () => { socket.destroy(); resolve(1); });
    socket.on('error', reject);
  });
}

server.listen(0, '127.0.0.1', () => plainServer.listen(0, '127.0.0.1', () => {
  const { port } = server.address();
  const plainPort = plainServer.address().port;
  aside = connectPlain(plainPort, '127.0.0.1');
  aside.on('data', (data) => { asideAnswers += data.toString().split('HTTP/1.1 200').length - 1; });
  console.log(`${port} ${plainPort}`);
  createInterface({ input: process.stdin }).once('line', async () => {
    let written = 0, fetched = 0;
    for (let index = 0; index < Number(count); index++) {
      written += await ask(port, '/written');
      fetched += (await (await fetch(`https://127.0.0.1:${port}/fetched`)).text()) === 'hello' ? 1 : 0;
    }
    while (asideAnswers < Number(count)) await new Promise((resolve) => setTimeout(resolve, 10));
    console.log(`${written} ${fetched} ${asideAnswers}`);
    process.exit(0);
  });
}));
