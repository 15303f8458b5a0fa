// A publishing service to try the example with: `node examples/publishing/service.js [TROUBLE]` on 127.0.0.1:8398. Its
// state is a file, here `desk/published.json`. It publishes one idempotency key once, and withdraws what was published under one, for good: what
// comes later under a withdrawn key is refused.
const { createServer } = require('node:http');
const { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } = require('node:fs');
const { dirname, join } = require('node:path');

/**
 * What may be wrong with the service: `refuse`: it publishes nothing, and says so; `mute`: it publishes, but answers 503,
 * so that nobody knows.
 */
const TROUBLES = ['none', 'refuse', 'mute'];

/** Starts it with its state in `file`; port 0 takes a free one. `setTrouble` changes what is wrong with it. */
async function startService({ port, file, trouble = 'none', say = () => undefined }) {
  const server = createServer((request, response) => {
    void answer(request, { file, trouble })
      .catch((error) => [400, error.message])
      .then(([status, body]) => {
        if (request.method !== 'GET') {
          say(`${request.method} answered with ${status}; ${read(file).editions.length} published`);
        }
        response.writeHead(status).end(typeof body === 'string' ? body : JSON.stringify(body));
      });
  });
  await new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    setTrouble: (next) => void (trouble = next),
    close: () => new Promise((resolve) => server.close(resolve).closeAllConnections()),
  };
}

async function answer(request, { file, trouble }) {
  const { pathname } = new URL(request.url, 'http://service');
  const [, what, id = ''] = pathname.split('/').map(decodeURIComponent);
  const body = await textOf(request);
  // From here to the answer nothing else runs, so that each request finds a whole state.
  const state = read(file);
  switch (`${request.method} /${what}`) {
    case 'POST /editions':
      return publish(state, file, trouble, request.headers['idempotency-key'], JSON.parse(body));
    case 'DELETE /editions':
      write(file, {
        editions: state.editions.filter(({ key }) => key !== id),
        withdrawn: [...state.withdrawn.filter((key) => key !== id), id],
      });
      return [200, { withdrawn: id }];
    case 'GET /editions':
      return [200, state.editions];
    case 'GET /articles': {
      const latest = state.editions.findLast(({ article }) => article === id);
      return latest === undefined ? [404, `no article ${id}`] : [200, latest];
    }
    default:
      return [404, `no ${request.method} ${pathname}`];
  }
}

function publish({ editions, withdrawn }, file, trouble, key, { article, text }) {
  if (trouble === 'refuse') return [403, 'closed for today'];
  if (!key) return [400, 'an idempotency key is needed'];
  if (withdrawn.includes(key)) return [410, `${key} was withdrawn`];
  if (!editions.some((edition) => edition.key === key)) {
    write(file, { editions: [...editions, { key, article, text }], withdrawn });
  }
  return trouble === 'mute' ? [503, 'too busy to say'] : [201, { url: `/articles/${article}` }];
}

async function textOf(request) {
  let text = '';
  for await (const chunk of request.setEncoding('utf8')) text += chunk;
  return text;
}

function read(file) {
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : { editions: [], withdrawn: [] };
}

/** In one step: whoever dies here leaves the state before or the one after. */
function write(file, state) {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(`${file}.new`, JSON.stringify(state, null, 2));
  renameSync(`${file}.new`, file);
}

module.exports = { startService };

if (require.main === module) {
  const [trouble = 'none'] = process.argv.slice(2);
  if (!TROUBLES.includes(trouble)) throw new Error(`Expected ${TROUBLES.join(', ')}, got ${trouble}`);
  void startService({
    port: 8398,
    file: join(process.env.PUBLISHING_DESK ?? 'desk', 'published.json'),
    trouble,
    say: console.log,
  }).then(({ url }) =>
    console.log(`publishing service at ${url}${trouble === 'none' ? '' : `, trouble: ${trouble}`}`),
  );
}
