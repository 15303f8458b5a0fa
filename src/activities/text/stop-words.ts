/** English words that say how a question is put, not what it is about. */
const STOP_WORDS = new Set(
  `a able about above after again against all allow allowed allows almost also although always am an and another any anybody anyone anything
  are as at away back be became because become been before being below between both but by came can cannot come could
  did do does doing done down during each either else ever every everyone everything few for from further get gets
  getting give given go goes going got had happen happening happens has have having he her here hers him himself his
  how however i if in into is it its itself just know let like long made make makes making many may maybe me might mine
  more most much must my myself need needed needing needs neither never no nobody none nor not nothing now of off
  often on once one only or other others ought our ours ourselves out over own per permit permitted permits please possible put quite rather really s
  say says see seem seems shall she should show since so some somebody someone something soon still such take taken
  takes tell than that the their theirs them themselves then there these they thing things this those though through
  thus to together too toward under unless until up upon us use used useful uses using very via want wants was way
  ways we well were what whatever when whenever where whether which while who whoever whom whose why will with within
  without would yes yet you your yours yourself`
    .split(/\s+/)
    .filter((word) => word !== ''),
);

/** `word` is in lower case. */
export function isStopWord(word: string): boolean {
  return STOP_WORDS.has(word);
}
