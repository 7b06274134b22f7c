// The library: what the command line does, as typed functions. docs/library.md has examples.

export type { BundleReport } from './execute/bundle.js';
export type { Exported, ExportedFile } from './execute/export.js';
export type { UnbundleReport } from './execute/unbundle.js';
export type { Matrix } from './graph/matrix.js';
export { closure, selectNodes } from './graph/select.js';
export { valuesOf, variantOf } from './graph/variants.js';
export { type BuildOptions, type BuildRun, build, plan } from './library/build.js';
export {
  type BundleOptions,
  bundle,
  type CrateOptions,
  exportCrate,
  type UnbundleOptions,
  unbundle,
} from './library/give-away.js';
export type { Interruptible } from './library/interruptible.js';
export { env, graph, list, provenance, show, status, why } from './library/look.js';
export type { ShowOptions } from './library/show.js';
export {
  type CheckOptions,
  type CleanOptions,
  check,
  clean,
  type GcOptions,
  gc,
  type UpdateOptions,
  update,
  type VerifyOptions,
  verify,
} from './library/upkeep.js';
export { type OpenOptions, open, type Workspace } from './library/workspace.js';
export { formatDiagnostic } from './manifest/diagnostics.js';
export type { Action, ActionInput } from './model/action.js';
export type { Content, Item } from './model/content.js';
export type { Diagnostic, Location } from './model/diagnostic.js';
export type { Digest } from './model/digest.js';
export type { Env } from './model/env.js';
export { type ErrorCode, type ErrorDetails, type FailedCommand, ResError } from './model/error.js';
export type { BuildEvent, BuildResult, Change, ErrorReport, EventListener, Work } from './model/event.js';
export type { Graph } from './model/graph.js';
export type { Json, JsonObject } from './model/json.js';
export type { LockEntry, LockedFile } from './model/lock.js';
export type { Manifest, Mirror, ParamDeclaration } from './model/manifest.js';
export type {
  Keep,
  NamedOutput,
  Node,
  NodeDeclaration,
  NodeSection,
  Reference,
  Variant,
  Verify,
} from './model/node.js';
export type {
  BlockedOutput,
  NodePlan,
  NodeState,
  Plan,
  PlannedOutput,
  Reason,
  ReasonCode,
  Step,
} from './model/plan.js';
export type {
  CheckReport,
  CleanReport,
  GcClass,
  GcReport,
  PlannedBuild,
  Provenance,
  ProvenanceFile,
  ProvenanceSource,
  ProvenanceStep,
  RepairReport,
  SpaceEstimate,
  UpdateReport,
  VerifyReport,
} from './model/report.js';
export type { Explanation } from './plan/explain.js';
export { type EnvJson, type EnvReport, envFish, envSh } from './report/env.js';
export { graphDot } from './report/graph-dot.js';
export type { Drawing, DrawnNode } from './report/graph-edges.js';
export { graphJson } from './report/graph-json.js';
export { graphMermaid } from './report/graph-mermaid.js';
export { listJson } from './report/list.js';
export { planJson } from './report/plan.js';
export type { ResourceDescriptor, Statement } from './report/provenance.js';
export { type ShownNode, showJson } from './report/show.js';
export { statusJson } from './report/status.js';
export { whyJson } from './report/why.js';
