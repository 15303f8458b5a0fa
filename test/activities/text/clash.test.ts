import { findClash, statement } from '../../../src/activities/text/clash';
import { quantities } from '../../../src/activities/text/quantities';

const clash = (left: string, right: string, headings: [string, string] = ['', '']) => {
  const weigh = () => 1;
  return findClash(statement(left, headings[0], weigh), statement(right, headings[1], weigh));
};

describe('findClash', () => {
  it.each([
    [
      'Backups are kept for 35 days.',
      'Database backups are kept for 30 days and then deleted.',
      ['35 days', '30 days'],
    ],
    [
      'Wait 30 seconds between the two probes.',
      'The engineer waits 60 seconds between the two probes.',
      ['30 seconds', '60 seconds'],
    ],
    [
      'A meal may cost up to €45 a day.',
      'Up to €60 a day may be spent on a meal, whatever the cost.',
      ['€45', '€60'],
    ],
    [
      'Two reviewers approve each change.',
      'Each change is approved by three reviewers.',
      ['Two reviewers approve', 'three reviewers'],
    ],
    [
      'The pipeline stops when the error rate exceeds 1 %.',
      'The pipeline stops at an error rate of 5 %.',
      ['1 %', '5 %'],
    ],
  ])('finds other numbers: %j / %j', (left, right, says) => {
    const found = clash(left, right);
    expect(found).toMatchObject({ kind: 'number', left: says[0], right: says[1] });
  });

  it('finds a denial', () => {
    expect(
      clash('Alcohol is reimbursed on business trips.', 'Alcohol is never reimbursed on business trips.')
        ?.kind,
    ).toBe('negation');
  });

  it('finds opposite words', () => {
    const found = clash(
      'The failover of the cluster is automatic.',
      'The failover of the cluster is manual.',
    );
    expect(found).toMatchObject({ kind: 'opposite', left: 'automatic', right: 'manual' });
  });

  it.each([
    [
      'the same time in other units',
      'A lock is held for 60 minutes at most.',
      'A lock is held at most for 1 hour.',
    ],
    [
      'a number that both give',
      'Pages go on after 10 minutes, then after 20 minutes.',
      'Pages go on after 20 minutes.',
    ],
    ['another subject', 'Application logs are kept for 14 days.', 'Payroll records are kept for 7 years.'],
    [
      'another thing counted',
      'The deploy waits for two reviews.',
      'The deploy waits ten minutes for a review.',
    ],
    ['labels and versions', 'A SEV 1 incident pages the lead.', 'A SEV 2 incident pages the lead.'],
    ['numbers that count nothing', 'The column number is 0-based.', 'The line number is 1-based.'],
    [
      'a short remark and a denial about more',
      'A rollback takes three minutes.',
      'Anyone may roll back a deploy without asking.',
    ],
  ])('is silent about %s', (_, left, right) => {
    expect(clash(left, right)).toBeUndefined();
  });
});

describe('quantities', () => {
  it.each([
    ['30s and 30 seconds and half', [30, 30]],
    ['within one hour', [3600]],
    ['above €5,000 or $1.50', [5000, 1.5]],
    ['10,000 files', [10_000]],
    ['on 2024-03-01 at 14:00, version 2.5', []],
    ['see `retry 5 times`', []],
  ])('reads %j', (text, values) => {
    expect(quantities(text).map((quantity) => quantity.value)).toEqual(values);
  });
});
