/** Words that turn a statement round. */
export const NEGATION = /\b(?:not|never|no|none|nobody|cannot|without|neither|nor|\w+n['’]t)\b/i;
