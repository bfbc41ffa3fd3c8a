"""Tables of Apache Parquet with texts, as other software writes them.

    python make.py [OUT]      OUT defaults to the folder of this script

The same eleven texts, two of them empty and one absent, in each way in which a column of strings is commonly stored; `expected.json` has them. `numbers.parquet`
has no strings.
"""

import json
import sys
from pathlib import Path

import pyarrow
import pyarrow.parquet as parquet

OUT = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent
TEXTS = [
    "The keeper writes the weather in a book.", "Hi", "", "Cafés in ZÜRICH: 日本語", None, "the same", "the same", "the same",
    "A grey, grey \"hat\"\nin two lines", "   ", "the end",
]

table = pyarrow.table({
    "id": pyarrow.array(range(len(TEXTS)), pyarrow.int64()),
    "text": pyarrow.array(TEXTS, pyarrow.string()),
    "tags": pyarrow.array([["a", "b"]] * len(TEXTS), pyarrow.list_(pyarrow.string())),
})
OUT.mkdir(parents=True, exist_ok=True)
WAYS = {
    "plain": {"compression": "none", "use_dictionary": False},
    "snappy": {"compression": "snappy"},
    "zstd": {"compression": "zstd", "data_page_version": "2.0"},
    "gzip": {"compression": "gzip", "row_group_size": 3},
    "delta": {"compression": "none", "use_dictionary": False, "column_encoding": {"text": "DELTA_BYTE_ARRAY", "id": "DELTA_BINARY_PACKED"}, "version": "2.6"},
}
for name, settings in WAYS.items():
    parquet.write_table(table, OUT / f"{name}.parquet", **settings)
large = table.set_column(1, "text", table["text"].cast(pyarrow.large_string()))
parquet.write_table(large, OUT / "large.parquet")
parquet.write_table(table.select(["id"]), OUT / "numbers.parquet")
expected = {"texts": TEXTS, "made by": f"tables/make.py, pyarrow {pyarrow.__version__}, Python {sys.version.split()[0]}"}
(OUT / "expected.json").write_text(json.dumps(expected, ensure_ascii=False, indent=1) + "\n")
