/** What workflow code may know of a team without having its code: types only. */

/** An agent's name and what it does, as `defineAgent` returns it. */
interface NamedAgent {
  readonly name: string;
  // oxlint-disable-next-line typescript/no-explicit-any -- `act` is contravariant in its input: no narrower type holds every agent.
  readonly act: (input: any, context: any) => unknown;
}

/** The names of the agents among the values of `Team`, such as `typeof import('./agents')`. */
export type AgentName<Team> = Extract<Team[keyof Team], NamedAgent>['name'];

type AgentNamed<Team, Name> = Extract<Team[keyof Team], NamedAgent & { readonly name: Name }>;

/** What the agent of that name takes. */
export type AgentInput<Team, Name> =
  AgentNamed<Team, Name> extends { readonly act: (input: infer Input, context: never) => unknown }
    ? Input
    : never;

/** What the agent of that name puts out. */
export type AgentOutput<Team, Name> =
  AgentNamed<Team, Name> extends { readonly act: (input: never, context: never) => infer Output }
    ? Awaited<Output>
    : never;

/** A team of which nothing is known: any name, any input, any output. */
export type AnyTeam = Record<string, AnyAgent>;

interface AnyAgent {
  readonly name: string;
  // oxlint-disable-next-line typescript/no-explicit-any -- stands for whatever an agent takes and puts out.
  readonly act: (input: any, context: any) => any;
}
