import { contentTerms, termsOfWord, words } from '../../../src/activities/text/words';
import { stem } from '../../../src/activities/text/stem';

describe('stem', () => {
  it.each([
    ['approves', 'approved', 'approving', 'approval'],
    ['rotate', 'rotates', 'rotated', 'rotation'],
    ['policy', 'policies'],
    ['deploy', 'deploys', 'deployed', 'deployment'],
    ['process', 'processes', 'processing'],
    ['deploying', 'deploys'],
    ['database', 'databases'],
    ['minute', 'minutes'],
  ])('gives %s and its forms one key', (...forms) => {
    expect(new Set(forms.map(stem)).size).toBe(1);
  });

  it.each(['node.js', 'client_cert_path', 'v20.3.0', 'über', '障害', 'os', 'ios'])(
    'leaves %s as it is',
    (word) => {
      expect(stem(word)).toBe(word);
    },
  );

  it('keeps words apart that only look like forms', () => {
    expect(stem('string')).toBe('string');
    expect(stem('status')).toBe('status');
    expect(stem('access')).toBe('access');
    expect(stem('analysis')).toBe('analysis');
    expect(stem('need')).toBe('need');
  });
});

describe('words', () => {
  it('keeps identifiers and versions whole', () => {
    expect(words('Set client_cert_path for Node.js v20.3.0.').map((word) => word.text)).toEqual([
      'set',
      'client_cert_path',
      'for',
      'node.js',
      'v20.3.0',
    ]);
  });

  it('finds the words of scripts without spaces', () => {
    const found = words('データベースを切り替えるには承認が必要です。').map((word) => word.text);
    expect(found).toContain('承認');
    expect(found.length).toBeGreaterThan(3);
  });

  it('says where each word stands', () => {
    const text = 'Ändere den Fail-over!';
    for (const word of words(text)) expect(text.slice(word.from, word.to).toLowerCase()).toBe(word.text);
  });

  it('takes a text of 500 KB without a space', () => {
    expect(words('x'.repeat(500_000))).toHaveLength(1);
    expect(words('界'.repeat(500_000)).length).toBeGreaterThan(0);
  });
});

describe('termsOfWord', () => {
  it('finds Node.js by its name and by its first part, never as "node.j"', () => {
    expect(termsOfWord('node.js')).toEqual(['node.js', stem('node'), 'js']);
  });

  it('finds an identifier by its parts', () => {
    expect(termsOfWord('client_cert_path')).toEqual(['client_cert_path', 'client', 'cert', 'path']);
  });
});

describe('contentTerms', () => {
  it('takes a verb and its particle as one', () => {
    expect(contentTerms('We fail over.')).toEqual(contentTerms('A failover'));
    expect(contentTerms('rolled back')).toEqual(contentTerms('rollback'));
  });
});
