// What is done when a command has answered, since nobody waits for it.
const waiting: (() => void)[] = [];

export function afterwards(work: () => void): void {
  waiting.push(work);
}

export function doAfterwards(): void {
  for (let work = waiting.shift(); work !== undefined; work = waiting.shift()) work();
}

/** For a command that is to leave nothing behind. */
export function forgetAfterwards(): void {
  waiting.length = 0;
}
