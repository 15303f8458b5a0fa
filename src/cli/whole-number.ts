import { InvalidArgumentError } from 'commander';

/** Reads an option's whole number from `minimum` to `maximum`; of anything else Commander says what was expected. */
export function wholeNumber(minimum: number, maximum: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (Number.isInteger(value) && value >= minimum && value <= maximum) return value;
    const most = maximum.toLocaleString('en');
    throw new InvalidArgumentError(`Expected a whole number from ${minimum} to ${most}.`);
  };
}
