// A weather service to try the example with, on 127.0.0.1:8399. It sells forecasts, and sells one idempotency key once.
const { createServer } = require('node:http');

const CELSIUS = { Oslo: [4, 5, 3], Lisbon: [17, 18, 16] };
const sold = new Map();

createServer(async (request, response) => {
  let body = '';
  for await (const chunk of request) body += chunk;
  const { city, days } = JSON.parse(body);
  const key = request.headers['idempotency-key'];
  const known = CELSIUS[city] !== undefined;
  if (known && !sold.has(key)) sold.set(key, { city, celsius: CELSIUS[city].slice(0, days), price: 2 });
  console.log(`${known ? 200 : 404} ${city}, key ${key}, ${sold.size} sold`);
  response.writeHead(known ? 200 : 404, { 'content-type': 'application/json' });
  response.end(known ? JSON.stringify(sold.get(key)) : `no such city: ${city}`);
}).listen(8399, '127.0.0.1', () => console.log('weather service at http://127.0.0.1:8399'));
