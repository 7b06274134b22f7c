// Words for a shell: what is printed can be pasted, and means just that text.

const PLAIN = /^[A-Za-z0-9_@%+=:,./-]+$/;

/** One word of a POSIX shell. */
export function quoteSh(text: string): string {
  return PLAIN.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

/** One word of fish, where a backslash counts inside single quotes too. */
export function quoteFish(text: string): string {
  return PLAIN.test(text) ? text : `'${text.replace(/[\\']/g, '\\$&')}'`;
}

export function formatCommand(argv: readonly string[]): string {
  return argv.map(quoteSh).join(' ');
}
