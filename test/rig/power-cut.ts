// A power cut, simulated: from the journal that disk.cjs wrote while res ran, the folder is made anew as a disk could hold it after
// the power went at that moment.
//
// The model. A file is its inode. Of its bytes only those are sure that a sync of it brought to disk (or that it had when the run
// began); what was written since may be there, be there in part (by blocks of 4 KiB), be zeros, or not be there at all, and its length
// may be the old or the new one. A folder is a list of changes of names, in their order: at least those are on disk that were made
// before a sync of this folder began that ended, perhaps more, never one without those before it in the same folder. A rename from
// one folder to another is in both or in neither. Not synced at all, in the worst case, is what children of res write, and what res
// writes itself without a sync. The journal has what was finished before the cut; what was under way then has not happened.
//
// Compared with ext4 (data=ordered, auto_da_alloc): harsher, as there all names come to disk in the one order of its journal,
// a sync of a file brings its name with it, and a rename over a file writes out the new one's bytes first. Weaker: modes and times are
// always those of the last moment, disks that lie about a flush are not looked at, and files made anew have other inodes and times
// than before, so that what res remembers by a stat is not believed afterwards.
import {
  chmodSync,
  copyFileSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { RIG, runFolder } from './places.js';

type Random = () => number;
type Id = number;

interface Thing {
  readonly kind: 'file' | 'dir' | 'link';
  readonly ino: number;
  /** Of a file: a copy of what is surely on disk; undefined: nothing is. */
  durable: string | undefined;
  readonly target: string;
}

/** One change of names; a rename between folders is in the lists of both. */
interface Change {
  readonly edits: readonly { readonly dir: Id; readonly name: string; readonly id: Id | undefined }[];
}

export interface Disk {
  /** For the run: it is watched, and killed at its operation of that number below the folder. */
  env(killAt: number): Readonly<Record<string, string>>;
  /** After the run: makes the folder as a disk could hold it now. Says in words what it chose. */
  cut(random: Random): string;
  close(): void;
}

const BLOCK = 4096;

/** Takes the folder as it is for what is on disk. For one run. */
export function openDisk(root: string): Disk {
  const own = mkdtempSync(join(runFolder(), 'disk-'));
  const journal = join(own, 'journal');
  writeFileSync(journal, '');
  const copies = join(own, 'copies');
  mkdirSync(copies);
  const model = new Model(root, copies);
  return {
    env: (killAt) => ({
      NODE_OPTIONS: `--require=${JSON.stringify(join(RIG, 'disk.cjs'))}`,
      RES_DISK_ROOT: root,
      RES_DISK_JOURNAL: journal,
      RES_DISK_KILL: String(killAt),
    }),
    cut: (random) => model.replay(readRecords(journal)).rebuild(random),
    close: () => rmSync(own, { recursive: true, force: true }),
  };
}

function readRecords(journal: string): readonly Readonly<Record<string, unknown>>[] {
  return readFileSync(journal, 'utf8')
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line));
}

/** What is surely on disk, and what may be. */
class Model {
  readonly #root: string;
  readonly #copies: string;
  readonly #things = new Map<Id, Thing>();
  /** By inode, as it is used now. */
  readonly #ids = new Map<number, Id>();
  readonly #names = new Map<Id, Map<string, Id>>();
  readonly #rootId: Id;
  readonly #unnamed = new Set<Id>();
  readonly #changes: Change[] = [];
  /** Number of changes that are surely on disk, by folder: those up to that index in the whole list that concern it. */
  readonly #surely = new Map<Id, number>();
  /** Where things are found at the end, by inode. */
  readonly #now = new Map<number, string>();

  /** @param copies an empty folder that gets a copy of every file */
  constructor(root: string, copies: string) {
    this.#root = root;
    this.#copies = copies;
    this.#rootId = this.#take(root);
  }

  #take(path: string): Id {
    const stats = lstatSync(path);
    const kind = stats.isDirectory() ? 'dir' : stats.isSymbolicLink() ? 'link' : 'file';
    const id = this.#add(stats.ino, kind, kind === 'link' ? readlinkSync(path) : '');
    if (kind === 'file') {
      const copy = join(this.#copies, String(id));
      copyFileSync(path, copy);
      this.#thing(id).durable = copy;
    }
    if (kind === 'dir')
      this.#names.set(id, new Map(readdirSync(path).map((name) => [name, this.#take(join(path, name))])));
    return id;
  }

  #add(ino: number, kind: Thing['kind'], target = ''): Id {
    const id = this.#things.size + 1;
    this.#things.set(id, { kind, ino, durable: undefined, target });
    this.#ids.set(ino, id);
    if (kind === 'dir') this.#names.set(id, new Map());
    return id;
  }

  #thing(id: Id): Thing {
    const thing = this.#things.get(id);
    if (!thing) throw new Error(`nothing has the number ${id}`);
    return thing;
  }

  /** Takes in what happened. */
  replay(records: readonly Record<string, unknown>[]): this {
    const syncing = new Map<unknown, number>();
    for (const record of records) {
      const { op } = record;
      const ino = Number(record.ino);
      if (op === 'create') {
        const kind = record.kind === 'dir' || record.kind === 'link' ? record.kind : 'file';
        // A second name of a file (link) is no new file.
        const known = kind === 'file' && this.#isNamed(ino) ? this.#ids.get(ino) : undefined;
        const id = known ?? this.#add(ino, kind, String(record.target ?? ''));
        this.#change([{ dir: Number(record.dir), name: String(record.name), id }]);
      } else if (op === 'unlink') {
        this.#change([{ dir: Number(record.dir), name: String(record.name), id: undefined }]);
      } else if (op === 'rename') {
        const from = place(record.from);
        const to = place(record.to);
        const id = this.#idAt(from) ?? this.#nameless(ino, record.kind === 'dir' ? 'dir' : 'file');
        this.#unnamed.delete(id);
        this.#change([
          { ...from, id: undefined },
          { ...to, id },
        ]);
      } else if (op === 'syncing') {
        syncing.set(record.id, this.#changes.length);
      } else if (op === 'synced-dir') {
        const id = this.#ids.get(ino);
        const upTo = syncing.get(record.id) ?? 0;
        if (id !== undefined) this.#surely.set(id, Math.max(upTo, this.#surely.get(id) ?? 0));
      } else if (op === 'synced') {
        const id = this.#isNamed(ino) ? this.#ids.get(ino) : this.#nameless(ino, 'file');
        if (id !== undefined) this.#thing(id).durable = String(record.shadow);
      }
    }
    this.#find(this.#root);
    return this;
  }

  /** What a child of res has made is met when it is synced or renamed. */
  #nameless(ino: number, kind: Thing['kind']): Id {
    const known = this.#ids.get(ino);
    if (known !== undefined && this.#unnamed.has(known)) return known;
    const id = this.#add(ino, kind);
    this.#unnamed.add(id);
    return id;
  }

  #isNamed(ino: number): boolean {
    const id = this.#ids.get(ino);
    return (
      id !== undefined && [...this.#current().values()].some((names) => [...names.values()].includes(id))
    );
  }

  /** Names after all changes so far. */
  #current(): ReadonlyMap<Id, ReadonlyMap<string, Id>> {
    return this.#apply(() => true);
  }

  #apply(counts: (index: number) => boolean): Map<Id, Map<string, Id>> {
    const names = new Map([...this.#names].map(([dir, entries]) => [dir, new Map(entries)]));
    for (const [index, { edits }] of this.#changes.entries()) {
      if (!counts(index)) continue;
      for (const { dir, name, id } of edits) {
        if (id === undefined) names.get(dir)?.delete(name);
        else names.get(dir)?.set(name, id);
      }
    }
    return names;
  }

  #idAt({ dir, name }: { readonly dir: number; readonly name: string }): Id | undefined {
    const id = this.#ids.get(dir);
    return id === undefined ? undefined : this.#current().get(id)?.get(name);
  }

  #change(
    edits: readonly { readonly dir: number; readonly name: string; readonly id: Id | undefined }[],
  ): void {
    this.#changes.push({
      edits: edits.flatMap(({ dir, name, id }) => {
        const folder = this.#ids.get(dir);
        return folder === undefined ? [] : [{ dir: folder, name, id }];
      }),
    });
  }

  #find(path: string): void {
    const stats = lstatSync(path);
    this.#now.set(stats.ino, path);
    if (stats.isDirectory()) for (const name of readdirSync(path)) this.#find(join(path, name));
  }

  /** Chooses what of all that is uncertain came to disk, and makes the folder so. */
  rebuild(random: Random): string {
    const extent = new Map(this.#surely);
    const how = pickHow(random);
    const last = this.#changes.length;
    const share = Math.floor(random() * (last + 1));
    for (const dir of this.#names.keys()) {
      const least = extent.get(dir) ?? 0;
      const more = {
        least: 0,
        all: last,
        'in one order': share,
        'each folder': Math.floor(random() * (last + 1)),
      }[how];
      extent.set(dir, Math.max(least, more));
    }
    const chosen = this.#closed(extent);
    const names = this.#apply((index) => chosen.has(index));
    const bytes = new Map<Id, { readonly bytes: Buffer; readonly mode: number }>();
    const choices = new Map<string, number>();
    for (const [id, thing] of this.#things) {
      if (thing.kind !== 'file') continue;
      const { content, choice } = this.#content(thing, random);
      choices.set(choice, (choices.get(choice) ?? 0) + 1);
      const path = this.#now.get(thing.ino);
      bytes.set(id, { bytes: content, mode: path === undefined ? 0o644 : lstatSync(path).mode & 0o777 });
    }
    for (const name of readdirSync(this.#root))
      rmSync(join(this.#root, name), { recursive: true, force: true });
    this.#make(this.#root, this.#rootId, names, bytes);
    const said = [...choices].map(([choice, n]) => `${n} ${choice}`).join(', ');
    return `${chosen.size} of ${last} changes of names (${how}); files: ${said}`;
  }

  /** Indices of the changes that are on disk: a change that is in one folder's list is in those of all its folders. */
  #closed(extent: Map<Id, number>): ReadonlySet<number> {
    for (let grew = true; grew; ) {
      grew = false;
      for (const [index, { edits }] of this.#changes.entries()) {
        if (!edits.some(({ dir }) => index < (extent.get(dir) ?? 0))) continue;
        for (const { dir } of edits) {
          if (index < (extent.get(dir) ?? 0)) continue;
          extent.set(dir, index + 1);
          grew = true;
        }
      }
    }
    return new Set(
      [...this.#changes.keys()].filter((index) =>
        this.#changes[index]?.edits.some(({ dir }) => index < (extent.get(dir) ?? 0)),
      ),
    );
  }

  #content(thing: Thing, random: Random): { readonly content: Buffer; readonly choice: string } {
    const old = thing.durable === undefined ? Buffer.alloc(0) : readFileSync(thing.durable);
    const path = this.#ids.get(thing.ino) === this.#idOf(thing) ? this.#now.get(thing.ino) : undefined;
    const live = path !== undefined && lstatSync(path).isFile() ? readFileSync(path) : old;
    if (live.equals(old)) return { content: old, choice: 'synced' };
    const dice = Math.floor(random() * 5);
    if (dice === 0) return { content: old, choice: 'old' };
    if (dice === 1) return { content: live, choice: 'new' };
    // An appended part that has its length and not its bytes.
    if (dice === 2) return { content: mixed(old, live, live.length, () => false), choice: 'zeros' };
    const length =
      Math.min(old.length, live.length) + Math.floor(random() * (Math.abs(live.length - old.length) + 1));
    return { content: mixed(old, live, length, () => random() < 0.5), choice: 'in part' };
  }

  #idOf(thing: Thing): Id | undefined {
    for (const [id, one] of this.#things) if (one === thing) return id;
    return undefined;
  }

  #make(
    path: string,
    id: Id,
    names: ReadonlyMap<Id, ReadonlyMap<string, Id>>,
    bytes: ReadonlyMap<Id, { readonly bytes: Buffer; readonly mode: number }>,
  ): void {
    for (const [name, child] of names.get(id) ?? []) {
      const at = join(path, name);
      const { kind, target } = this.#thing(child);
      if (kind === 'link') symlinkSync(target, at);
      else if (kind === 'dir') {
        mkdirSync(at);
        this.#make(at, child, names, bytes);
      } else {
        const file = bytes.get(child);
        writeFileSync(at, file?.bytes ?? '');
        chmodSync(at, file?.mode ?? 0o644);
      }
    }
  }
}

function place(value: unknown): { readonly dir: number; readonly name: string } {
  if (typeof value !== 'object' || value === null) throw new Error('a rename without its places');
  const fields: Readonly<Record<string, unknown>> = { ...value };
  return { dir: Number(fields.dir), name: String(fields.name) };
}

function pickHow(random: Random): 'least' | 'all' | 'in one order' | 'each folder' {
  const dice = random();
  if (dice < 0.3) return 'least';
  if (dice < 0.5) return 'all';
  return dice < 0.75 ? 'in one order' : 'each folder';
}

/** Old and new bytes by blocks; where there is no old one, zeros. */
function mixed(old: Buffer, live: Buffer, length: number, takesNew: () => boolean): Buffer {
  const bytes = Buffer.alloc(length);
  old.copy(bytes, 0, 0, length);
  for (let at = 0; at < length; at += BLOCK)
    if (takesNew()) live.copy(bytes, at, at, Math.min(at + BLOCK, length, live.length));
  return bytes;
}
