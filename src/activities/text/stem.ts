const DOUBLED = /(?:bb|dd|ff|gg|mm|nn|pp|rr|tt)$/;
const VOWEL = /[aeiouy]/;

/**
 * A light English stemmer: takes off plurals, `-ed`, `-ing`, `-ly`, `-ion`, `-ment`, `-al` after `v`, and
 * final `e`. Its results are keys, not words. Anything but four or more of a-z comes back as it is:
 * identifiers, versions (`node.js`), other scripts. `word` is in lower case.
 */
export function stem(word: string): string {
  if (word.length < 4 || !/^[a-z]+$/.test(word)) return word;
  return withoutEnding(withoutSuffix(withoutPlural(word)));
}

function withoutPlural(word: string): string {
  if (word.endsWith('ies') && word.length > 4) return `${word.slice(0, -3)}y`;
  if (/(?:ss|x|ch|sh|zz)es$/.test(word)) return word.slice(0, -2);
  return /[^siu]s$/.test(word) ? word.slice(0, -1) : word;
}

function withoutSuffix(word: string): string {
  if (word.endsWith('ied') && word.length > 4) return `${word.slice(0, -3)}y`;
  for (const suffix of ['ing', 'ed']) {
    if (!word.endsWith(suffix)) continue;
    const rest = word.slice(0, -suffix.length);
    if (rest.length < 3 || !VOWEL.test(rest) || rest.endsWith('e')) return word;
    return DOUBLED.test(rest) ? rest.slice(0, -1) : rest;
  }
  if (word.length > 6 && word.endsWith('ly')) return word.slice(0, -2);
  if (word.length > 7 && word.endsWith('ment')) return word.slice(0, -4);
  if (word.length > 6 && /[ts]ion$/.test(word)) return word.slice(0, -3);
  return word.length > 5 && word.endsWith('val') ? word.slice(0, -2) : word;
}

function withoutEnding(word: string): string {
  if (word.length > 3 && word.endsWith('e')) return word.slice(0, -1);
  return word.length > 3 && /[^aeiou]y$/.test(word) ? `${word.slice(0, -1)}i` : word;
}
