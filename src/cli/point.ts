import { inputInvalid } from '../core/failures';
import type { Point } from '../core/log/point';
import { parseWhen } from './when';

/** A point of a log that a person gave: the number of an event, `last`, or a time (see `when.ts`). Throws InputInvalid. */
export function parsePoint(option: string, text: string, now: number): Point {
  if (text === 'last') return 'last';
  if (!/^\d{1,9}$/.test(text)) return { time: parseWhen(option, text, now) };
  const number = Number(text);
  if (number === 0) throw inputInvalid(option, 'the number of an event, from 1, `last`, or a time', text);
  return { number };
}
