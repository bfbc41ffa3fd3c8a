/** The JSON that a page shows: see docs/report.md. */

type Json = null | boolean | number | string | Json[] | { [name: string]: Json };
/** NaN is null; infinities are texts. */
type Num = number | null | "inf" | "-inf";

interface Axis {
    label: string;
    unit: string | null;
    range: [Num, Num] | null;
    whole: boolean;
}
interface Legend {
    title: string;
    entries: string[];
    ordered: boolean;
}
interface Scatter {
    kind: "scatter";
    x: Axis;
    y: Axis;
    equal_aspect: boolean;
    points: { x: Num; y: Num; label: string; colour: number; shape: number }[];
    colours: Legend;
    shapes: Legend | null;
}
interface HeatMap {
    kind: "heat_map";
    row_axis: string;
    column_axis: string;
    rows: string[];
    columns: string[];
    values: Num[];
    scale: Axis;
    diverging: boolean;
    row_groups: [string, number][];
    column_groups: [string, number][];
    texts?: string[];
}
interface Lines {
    kind: "lines";
    x: Axis;
    y: Axis;
    series: { name: string; mark: "line" | "points" | "levels"; points: [Num, Num][]; labels?: string[]; intervals?: [Num, Num][] }[];
    references: [string, Num][];
}
interface Bars {
    kind: "bars";
    category_axis: string;
    categories: string[];
    y: Axis;
    groups: [string, Num[]][];
    stacked: boolean;
}
interface BoxPlot {
    kind: "box_plot";
    category_axis: string;
    categories: string[];
    y: Axis;
    boxes: [Num, Num, Num, Num, Num][];
    references?: [string, Num][];
}
interface PassageToken {
    text: string;
    value: Num;
}
interface Passage {
    label: string;
    tokens: PassageToken[];
    marked: number | null;
    cut_before: boolean;
    cut_after: boolean;
}
interface Card {
    title: string;
    details: string[];
    passages: Passage[];
}
interface Passages {
    kind: "passages";
    scale: Axis;
    diverging: boolean;
    cards: Card[];
}
interface Network {
    kind: "network";
    scale: Axis;
    nodes: { x: Num; y: Num; label: string }[];
    edges: { from: number; to: number; enters: Num; label: string; value: Num }[];
}
type Plot = Scatter | HeatMap | Lines | Bars | BoxPlot | Passages | Network;
interface Figure {
    name: string;
    title: string;
    caption: string;
    panels: { title: string; plot: Plot }[];
    columns: number;
}
interface Column {
    name: string;
    unit?: string | null;
    type: "int" | "float" | "text";
    values: (Num | string)[];
}
interface Table {
    name: string;
    columns: Column[];
}
interface ShownTable {
    table: Table;
    rows: number;
}
interface ShownTensor {
    name: string;
    axes: string[];
    shape: number[];
    dtype: string;
    unit?: string | null;
    encoding?: "float16" | "float32";
    data?: string;
}
interface AnswerSection {
    heading: string;
    form: "table" | "record" | "cards";
    columns: { name: string; unit: string | null }[];
    rows: { [name: string]: Num | string }[];
    cut: boolean;
}
interface Answer {
    question: string;
    about: string;
    sections: AnswerSection[];
}
interface Analysis {
    name: string;
    type: string;
    status: "ok" | "failed" | "unfinished";
    config: { [name: string]: Json };
    error?: { stage: string; message: string };
    summary: { [name: string]: Json };
    tables?: ShownTable[];
    tensors?: ShownTensor[];
    figures?: Figure[];
    answers?: Answer[];
}
interface AttentionBlock {
    layer: number;
    kind: string;
    form: string;
    heads: number;
    key_value_heads: number;
    module: string;
    operation: number;
    visible?: Json;
}
interface FeedForwardBlock {
    layer: number;
    kind: string;
    shared: boolean;
    module: string;
    neurons: number;
    experts: { count: number; index: number | null } | null;
    function: Json;
    gate: Json;
    operations: number[];
}
interface Structure {
    attention: AttentionBlock[];
    feed_forward: FeedForwardBlock[];
    norms: { kind: string; eps: number | null; operations: number[] }[];
    embeddings: { kind: string; rows: number | null; module: string }[];
    unembedding: { vocabulary: boolean; tied: boolean; size: number; module: string }[];
    residual: { layer: number; stream: number; operation: number; writers: Json[] }[];
}
interface GraphData {
    fingerprint: string;
    texts: string[];
    operations: {
        name: number[];
        module: number[];
        block: number[];
        source: number[];
        role: number[];
        constants: number[];
        inputs: number[][];
        outputs: number[][];
        views: number[];
    };
    tensors: { name: number[]; dtype: number[]; shape: number[][]; origin: number[] };
}
interface ReportModel {
    structure: Structure;
    coverage: { operations: number; roles: { [role: string]: number }; left_over: { [name: string]: number } };
    parameters: number;
    graph: GraphData;
}
interface ReportDocument {
    format: number;
    title: string;
    status: string;
    run: { [name: string]: Json };
    model?: ReportModel;
    analyses: Analysis[];
    notes?: string[];
}

/** What an element is made of; what is absent is left out. */
type Child = Node | string | number | null | undefined | false | Child[];
type Attributes = { [name: string]: unknown };
