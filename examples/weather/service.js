// A weather service to try the example with, on 127.0.0.1:8399. It sells forecasts, and sells one idempotency key once.
const { createServer } = require('node:http');

const CELSIUS = new Map([
  ['Oslo', [4, 5, 3]],
  ['Lisbon', [17, 18, 16]],
]);
const sold = new Map();

async function answer(request, response) {
  let body = '';
  for await (const chunk of request) body += chunk;
  const { city, days } = JSON.parse(body);
  const key = String(request.headers['idempotency-key']);
  const celsius = CELSIUS.get(city);
  if (celsius !== undefined && !sold.has(key)) {
    sold.set(key, { city, celsius: celsius.slice(0, days), price: 2 });
  }
  const status = celsius === undefined ? 404 : 200;
  console.log(`${status} ${city}, key ${key}, ${sold.size} sold`);
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(celsius === undefined ? `no such city: ${city}` : JSON.stringify(sold.get(key)));
}

createServer((request, response) => {
  answer(request, response).catch((error) => response.writeHead(400).end(String(error)));
}).listen(8399, '127.0.0.1', () => console.log('weather service at http://127.0.0.1:8399'));
