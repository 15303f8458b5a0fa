/** Minimum, median, 99th percentile and maximum of `values`, in their unit. */
function summary(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
  return { min: sorted[0], p50: at(0.5), p99: at(0.99), max: sorted.at(-1) };
}

/** Runs `work` `count` times after `warmups`, one at a time; returns each one's milliseconds. */
async function time(work, { count, warmups }) {
  const milliseconds = [];
  for (let run = 0; run < warmups + count; run += 1) {
    const began = performance.now();
    await work();
    if (run >= warmups) milliseconds.push(performance.now() - began);
  }
  return milliseconds;
}

/** What `printTable` has printed since `takeTables` was called. */
const printed = [];

/** The tables that were printed since the last call, each a list of rows. */
function takeTables() {
  return printed.splice(0);
}

/** Rows as a table in Markdown, the first of them as its head. */
function markdownTable([head, ...rows]) {
  const line = (cells) => `| ${cells.map((cell) => String(cell).replaceAll('|', '\\|')).join(' | ')} |`;
  const rule = `|${head.map((_, at) => (at === 0 ? '---|' : '---:|')).join('')}`;
  return [line(head), rule, ...rows.map(line)].join('\n');
}

/** Prints rows as a table, the first of them as its head. */
function printTable(rows) {
  printed.push(rows);
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => String(row[column]).length)));
  for (const row of rows) {
    console.log(
      `  ${row.map((cell, column) => (column === 0 ? String(cell).padEnd(widths[0]) : String(cell).padStart(widths[column]))).join('  ')}`,
    );
  }
}

module.exports = { markdownTable, printTable, summary, takeTables, time };
