/**
 * A promise that knows whether anybody awaits it, and whose rejection is never one that nobody handles: that would fail
 * the workflow task again and again.
 */
export class HeardPromise<Value> extends Promise<Value> {
  private listeners = 0;

  /** What is made of it is an ordinary promise. */
  static override get [Symbol.species](): PromiseConstructor {
    return Promise;
  }

  static of<Value>(work: Promise<Value>): HeardPromise<Value> {
    const promise = new HeardPromise<Value>((resolve, reject) => {
      work.then(resolve, reject);
    });
    void super.prototype.then.call(promise, undefined, () => undefined);
    return promise;
  }

  /** True once somebody has awaited it, or caught what it rejects with. */
  get heard(): boolean {
    return this.listeners > 0;
  }

  // oxlint-disable-next-line unicorn/no-thenable -- it is a promise
  override then<Then1 = Value, Then2 = never>(
    onfulfilled?: ((value: Value) => Then1 | PromiseLike<Then1>) | null,
    onrejected?: ((reason: unknown) => Then2 | PromiseLike<Then2>) | null,
  ): Promise<Then1 | Then2> {
    this.listeners += 1;
    return super.then(onfulfilled, onrejected);
  }
}
