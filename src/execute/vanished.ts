// Content that was at hand when somebody looked, and is not any more: another workspace took it, or a person wrote to it. It
// is then made or fetched as if it had never been there.
export class Vanished extends Error {
  constructor(what: string) {
    super(`${what} is not at hand any more`);
  }
}
