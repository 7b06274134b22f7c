// The library: everything that the command line does, as typed functions.
//
//   const graph = loadGraph({ file, cwd, set: {}, env: process.env, kinds: references });
//   const workspace = openWorkspace({ graph, env: process.env });
//   const result = await build(workspace, selectNodes(graph, []), { listener: console.log });

export type { BuildOptions } from './execute/api.js';
export { build, planBuild } from './execute/build.js';
export { type BundleReport, bundle } from './execute/bundle.js';
export { type CheckOptions, check } from './execute/check.js';
export { clean } from './execute/clean.js';
export { type Exported, exportNodes } from './execute/export.js';
export { type GcOptions, gc } from './execute/gc.js';
export { gatherProvenance } from './execute/provenance.js';
export { type RepairOptions, repair } from './execute/repair.js';
export { openShell, type Shell } from './execute/shell.js';
export { type UnbundleReport, unbundle } from './execute/unbundle.js';
export { update } from './execute/update.js';
export { verify } from './execute/verify.js';
export { type GraphRequest, loadGraph } from './graph/load.js';
export type { Matrix } from './graph/matrix.js';
export { closure, namedNodes, selectNodes } from './graph/select.js';
export { checkVariants, variantOf } from './graph/variants.js';
export { findManifest } from './manifest/find.js';
export { readParams } from './manifest/params.js';
export type { Action, Trace } from './model/action.js';
export type { BuildRecord, RecordedNode } from './model/build-record.js';
export type { Content, Item } from './model/content.js';
export type { Diagnostic, Location } from './model/diagnostic.js';
export type { Digest } from './model/digest.js';
export type { Env } from './model/env.js';
export { type ErrorCode, type FailedCommand, ResError } from './model/error.js';
export type { BuildEvent, BuildResult, ErrorReport, EventListener, Work } from './model/event.js';
export type { Graph } from './model/graph.js';
export type { Lock, LockEntry, LockedFile } from './model/lock.js';
export type { Manifest, ParamDeclaration } from './model/manifest.js';
export type { Node, NodeDeclaration, Variant } from './model/node.js';
export type { NodePlan, NodeState, Plan, Reason, ReasonCode, Step } from './model/plan.js';
export type {
  CheckReport,
  CleanReport,
  GcReport,
  PlannedBuild,
  Provenance,
  RepairReport,
  SpaceEstimate,
  UpdateReport,
  VerifyReport,
} from './model/report.js';
export { type Explanation, explain } from './plan/explain.js';
export { type PlanOptions, planNodes } from './plan/plan.js';
export { lastRun } from './plan/record.js';
export { references } from './plan/registry.js';
export { openWorkspace, type Workspace } from './plan/workspace.js';
export { buildReport } from './report/build-report.js';
export { type EnvReport, envReport } from './report/env.js';
export { graphDot } from './report/graph-dot.js';
export { type Drawing, drawing } from './report/graph-edges.js';
export { type GraphJson, graphJson } from './report/graph-json.js';
export { graphMermaid } from './report/graph-mermaid.js';
export { graphNodes } from './report/graph-nodes.js';
export { graphPage } from './report/graph-page.js';
export { graphSvg } from './report/graph-svg.js';
export { type HistoryJson, historyJson } from './report/history.js';
export { type ListJson, listJson } from './report/list.js';
export { type PlanJson, planJson } from './report/plan.js';
export { provenanceStatement, type Statement } from './report/provenance.js';
export { type Crate, roCrate } from './report/ro-crate.js';
export { type ShowJson, showJson } from './report/show.js';
export { type StatusJson, statusJson } from './report/status.js';
export { type WhyJson, whyJson } from './report/why.js';
export { buildIds, lastBuild, readBuild } from './store/build-records.js';
