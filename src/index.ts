// The library: what the command line does, as typed functions. docs/library.md has examples.

export type { BundleReport } from './execute/bundle.js';
export type { CheckOptions } from './execute/check.js';
export type { CleanOptions } from './execute/clean.js';
export type { Exported, ExportedFile } from './execute/export.js';
export type { GcOptions } from './execute/gc.js';
export type { RepairOptions } from './execute/repair.js';
export type { UnbundleReport } from './execute/unbundle.js';
export type { UpdateOptions } from './execute/update.js';
export type { Matrix } from './graph/matrix.js';
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
export { env, graph, list, picture, provenance, show, status, why } from './library/look.js';
export { type HistoryOptions, history, type ReportOptions, record, report } from './library/past.js';
export type { PictureFormat } from './library/picture.js';
export type { History } from './library/records.js';
export type { ShowOptions } from './library/show.js';
export { check, clean, gc, update, type VerifyOptions, verify } from './library/upkeep.js';
export { type OpenOptions, open, type Workspace } from './library/workspace.js';
export { formatDiagnostic } from './manifest/diagnostics.js';
export type { Action, ActionInput } from './model/action.js';
export type {
  BuildRecord,
  RecordedBytes,
  RecordedChange,
  RecordedChanges,
  RecordedEnvironment,
  RecordedError,
  RecordedNode,
  RecordedOutcome,
  RecordedPool,
  RecordedReason,
  RecordedRun,
  RecordedUse,
} from './model/build-record.js';
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
  StepCounts,
} from './model/plan.js';
export type {
  CheckedNode,
  CheckReport,
  CleanReport,
  Difference,
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
export type { Drawing, DrawnNode } from './report/graph-edges.js';
export { type GraphJson, graphJson } from './report/graph-json.js';
export { type HistoryBuildJson, type HistoryJson, historyJson } from './report/history.js';
export { type ListJson, listJson } from './report/list.js';
export { type PlanJson, type PlanView, planJson } from './report/plan.js';
export type { ResourceDescriptor, Statement } from './report/provenance.js';
export type { ReasonJson } from './report/reasons.js';
export { type ShowJson, type ShownNode, showJson } from './report/show.js';
export { type OutputJson, type StatusJson, type StatusNodeJson, statusJson } from './report/status.js';
export { type ExplanationLike, type WhyJson, whyJson } from './report/why.js';
