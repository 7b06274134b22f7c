// What a kind of target is to the rest of res: what it reads, what of its recipe decides the bytes, which tools it
// needs and how its output is made. A kind never touches the store, the clock, the terminal or the environment.
import type { Item } from '../model/content.js';
import type { JsonObject } from '../model/json.js';
import type { KindReferences } from '../model/node.js';
import type { Glimpse, InputGlimpse } from './glimpse.js';

export interface Kind extends KindReferences {
  /** The key in the manifest. */
  readonly name: string;
  /** The fields of the recipe that can change the bytes, defaults filled in. References are left out: their digests count. */
  keyed(recipe: JsonObject): JsonObject;
  /**
   * Of content that names its inputs by where they lie, and is of no use without them there: what of the places is in the bytes,
   * which is part of the key. Its inputs are kept in their places, and it is read in its own.
   */
  leans?(places: Places): JsonObject;
  /** Programs whose identity is part of the key. */
  tools(recipe: JsonObject): readonly string[];
  /** Which pool limits it, beside -j. */
  readonly pool: 'cpu' | 'disk';
  /** What it takes of the machine, where that is more than one place in its pool. */
  demand?(recipe: JsonObject): Demand;
  readonly making: Making;
  /** Set when the names of an input's files count too, where it has several. */
  readonly readsNames?: true;
  /**
   * The image format of the result where the recipe decides it (`raw`, `qcow2`, …), given that of the first input;
   * undefined when only the bytes can tell.
   */
  imageFormat?(recipe: JsonObject, input: string | undefined): string | undefined;
  /**
   * What can be said of the output before it is made, from what can be said of the inputs (`sums` left out); by default
   * nothing. An estimate: content that makes no sense gives no error, only less to say.
   */
  glimpse?(recipe: JsonObject, inputs: readonly InputGlimpse[]): Promise<Glimpse>;
}

/** Absolute paths: where the output will lie, and where each input does (`sums` left out). */
export interface Places {
  readonly out: string;
  readonly inputs: readonly string[];
}

/** How the output comes about. The executor does the writing, hashing, checking and renaming. */
export type Making =
  /** Nothing of its own: a name for several nodes. */
  | { readonly by: 'naming' }
  /** The very content of its one input. */
  | { readonly by: 'sharing' }
  /** Bytes in order, once through: can be joined with its producer and its consumer in one pass. */
  | { readonly by: 'streaming'; open(recipe: JsonObject, context: KindContext): AsyncIterable<Uint8Array> }
  /**
   * A file written by the kind at `context.out`; `isOrdered` when that goes from its beginning to its end, each byte written once and
   * holes left out, so that it can be hashed meanwhile.
   */
  | {
      readonly by: 'writing';
      write(recipe: JsonObject, context: KindContext): Promise<void>;
      isOrdered?(recipe: JsonObject): boolean;
    }
  /** Either, as the recipe says. */
  | { readonly by: 'recipe'; choose(recipe: JsonObject): Exclude<Making, { by: 'recipe' }> }
  /** A directory filled by the kind at `context.out`, which exists and is empty. */
  | { readonly by: 'filling'; fill(recipe: JsonObject, context: KindContext): Promise<void> }
  /** Files and directories that a program of the user's leaves in a directory that holds only the inputs. */
  | { readonly by: 'running'; program(recipe: JsonObject): Program };

/** Undefined: as little as any. */
export interface Demand {
  /** Places of -j and of its pool that it takes. */
  readonly cpus?: number;
  /** Bytes of the machine's memory that it is given. */
  readonly memory?: number;
}

/** A program of the user's, and the scratch directory that it is to be run in. Paths are relative to that directory, with `/`. */
export interface Program {
  /** Where each input lies, in the order of the references. Of several files it is the folder that holds them. */
  readonly inputs: readonly string[];
  /** What it leaves, in the order of the content. */
  readonly outputs: readonly ProgramOutput[];
  /** Folders that it may write to and find empty. */
  readonly home: string;
  readonly temp: string;
  readonly cwd: string;
  /** Variables beside those that every program gets, and the command, once it is known where things lie. */
  command(places: ProgramPlaces): ProgramCommand;
  /** Programs that must be there. */
  readonly tools: readonly string[];
  readonly timeoutMs?: number;
  readonly network: boolean;
}

export interface ProgramOutput {
  /** That of the item, where it has one of its own. */
  readonly name?: string;
  readonly path: string;
  /** Whether the program is told the path, and finds the folder that it leads to. */
  readonly isTold: boolean;
}

export interface ProgramPlaces {
  /** Absolute paths of the files of each input, in the order of the references. */
  readonly inputs: readonly (readonly string[])[];
  /** Absolute; in the order of the outputs. */
  readonly outputs: readonly string[];
}

export interface ProgramCommand {
  readonly argv: readonly [string, ...string[]];
  readonly env: Readonly<Record<string, string>>;
}

/** The making for this recipe. */
export function makingOf(kind: Kind, recipe: JsonObject): Exclude<Making, { by: 'recipe' }> {
  return kind.making.by === 'recipe' ? kind.making.choose(recipe) : kind.making;
}

export interface KindContext {
  /** In the order of `references` (`sums` left out). */
  readonly inputs: readonly KindInput[];
  /** Absolute path of a temporary name that the kind creates (writing) or fills (filling). Empty when streaming. */
  readonly out: string;
  /** Of a kind that leans on its inputs. */
  readonly places?: Places | undefined;
  /** A fresh empty directory for the kind's own temporaries; removed afterwards. */
  readonly scratch: string;
  readonly signal: AbortSignal;
  /**
   * Runs a program without a shell: clean environment, own process group, output to the node's log.
   * Rejects with ResError `tool-missing` or `command-failed`.
   */
  exec(argv: readonly [string, ...string[]], options?: ExecOptions): Promise<{ readonly stdout: string }>;
  /**
   * Sends bytes through a program and gives what it prints on stdout. Ends when the program ended well, rejects as
   * `exec` does; a consumer that stops early stops the program.
   */
  pipe(argv: readonly [string, ...string[]], input: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array>;
  /** Whether a program is on PATH. */
  has(program: string): boolean;
  /** Percent done, 0 to 100, for kinds whose bytes res does not see. */
  percent(done: number): void;
  /** A line for the node's log. */
  log(line: string): void;
  /** Says which member of an archive the stream is (its name is looked up in `sums`) and whether it is a program. */
  member(name: string, options: { readonly executable: boolean }): void;
}

export interface ExecOptions {
  /** Called with each chunk that the program prints on stdout; stdout is then neither kept nor logged. */
  readonly onStdout?: (text: string) => void;
  /** Called with each chunk that it prints on stderr, which is logged all the same. */
  readonly onStderr?: (text: string) => void;
  /** Bytes for its standard input, which is then closed; without it, stdin is closed at once. */
  readonly stdin?: AsyncIterable<Uint8Array>;
}

export interface InputItem {
  readonly name: string;
  /** Bytes. */
  readonly size: number | null;
  /** By default a file. */
  readonly type?: Item['type'];
  /** Whether it is to be a program; of what is streamed, known once it was read. */
  readonly executable?: boolean;
}

/** A file that another one names, and is of no use without. */
export interface Support {
  /** Absolute. */
  readonly path: string;
  /** From the folder of the file that names it. */
  readonly way: string;
}

export interface KindInput {
  readonly role: string;
  readonly node: string;
  readonly items: readonly InputItem[];
  /** Whether it is a list of files, however many there are in it. */
  readonly many?: boolean;
  /** Image format, where its producer decided it. */
  readonly format: string | undefined;
  /**
   * The files that its content leads to, by default none: the first one is named by the content, which is in its own place then,
   * and each other one by the one before.
   */
  readonly leansOn?: readonly Support[];
  /** All items concatenated, in order, in pieces of up to 1 MiB. May be called once only. */
  stream(): AsyncIterable<Uint8Array>;
  /** True when the items lie in files already: `paths` then costs nothing, and reads nothing. */
  readonly stored?: boolean;
  /** Paths of the items, to read only; a streamed input is first written to scratch. */
  paths(): Promise<readonly string[]>;
}
