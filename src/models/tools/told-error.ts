/** What is wrong with what a model asked of a tool, in words that it may read as they stand. */
export class ToldError extends Error {}
