// The shape of the validators that scripts/validators.mjs compiles: what ajv's code gives, and no more of it.

export interface SchemaError {
  readonly keyword: string;
  /** JSON pointer to the value. */
  readonly instancePath: string;
  readonly params: Readonly<Record<string, unknown>>;
  /** The value itself. */
  readonly data?: unknown;
  readonly parentSchema?: SchemaAround;
  /** Set when a key is wrong, not a value. */
  readonly propertyName?: string;
}

/** The part of a schema that words messages. */
export interface SchemaAround {
  readonly title?: string;
  readonly description?: string;
  readonly properties?: Readonly<Record<string, unknown>>;
}

export interface Validator {
  (value: unknown): boolean;
  /** Of the last call. */
  errors?: readonly SchemaError[] | null;
}
