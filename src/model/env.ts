// The environment as data, so that nothing below the command line reads process.env.
export type Env = Readonly<Record<string, string | undefined>>;
