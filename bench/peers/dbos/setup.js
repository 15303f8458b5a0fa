/** What DBOS needs of the machine: PostgreSQL's server, which no package of npm brings. */
const { delimiter, join } = require('node:path');
const { existsSync, readdirSync } = require('node:fs');

/** Where Debian puts one folder for each version. */
const DEBIAN = '/usr/lib/postgresql';

/** The folder of `initdb` and `postgres`, the newest version's; undefined where PostgreSQL's server is not installed. */
function postgresFolder() {
  const versions = existsSync(DEBIAN) ? readdirSync(DEBIAN).sort((a, b) => Number(b) - Number(a)) : [];
  const folders = [
    ...versions.map((version) => join(DEBIAN, version, 'bin')),
    ...(process.env.PATH ?? '').split(delimiter),
  ];
  return folders.find((folder) =>
    ['initdb', 'postgres'].every((program) => existsSync(join(folder, program))),
  );
}

module.exports = {
  postgresFolder,
  /** Why it cannot run here, in a sentence; undefined where it can. */
  missing() {
    return postgresFolder() === undefined
      ? "PostgreSQL's server is not installed (apt-get install postgresql)"
      : undefined;
  },
};
