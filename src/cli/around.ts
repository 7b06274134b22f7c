// What there is to know of the command line beside commands and flags: for help, the man page and the documents.
import type { ExitSpec } from './commands.js';

/** Names of variables, and what each is for; `what` is empty where the names say it. */
export const environment: readonly { readonly names: readonly string[]; readonly what: string }[] = [
  { names: ['GITHUB_TOKEN', 'GH_TOKEN'], what: 'a token, for private repositories and more calls' },
  { names: ['GITHUB_API_URL'], what: 'another server than api.github.com' },
  { names: ['HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY', 'NODE_EXTRA_CA_CERTS'], what: '' },
  { names: ['RES_MIRRORS'], what: 'mirrors of URLs: FROM=TO[,TO...];FROM=TO...' },
  { names: ['RES_PARAM_<NAME>'], what: 'the value of a param' },
  { names: ['RES_SANDBOX'], what: 'auto, off or require: as --sandbox' },
  { names: ['RES_STALL_TIMEOUT'], what: 'seconds without a byte before a retry (30)' },
  { names: ['RES_STORE'], what: 'where the store lies (.res/store)' },
  { names: ['XDG_CONFIG_HOME'], what: 'where your res/config.yaml lies (~/.config)' },
];

export const exitStatuses: readonly ExitSpec[] = [
  { status: 0, what: 'done' },
  {
    status: 1,
    what: 'a node failed, `verify` or `check` found a difference, `doctor` something to mend, or it could not be done',
  },
  { status: 2, what: 'bad usage or manifest; nothing was run' },
  { status: 3, what: '`status --check`: not fresh' },
  { status: 130, what: 'interrupted' },
];

/** Relative to the manifest's folder. */
export const files: readonly { readonly path: string; readonly what: string }[] = [
  { path: 'resources.yaml', what: 'the manifest' },
  { path: 'resources.lock.yaml', what: 'the lock: what each source was; keep it in version control' },
  { path: 'resources/', what: 'the outputs, where the manifest has no other output-dir' },
  { path: '.res/', what: 'what res keeps: contents, records, logs; may be deleted' },
];
