#!/usr/bin/env bash
# onnx 1.23.2: its version converter does not go back over a version of an operator that only admits more types.
#
# Guess: Relu-14 and Identity-16 mean for a float tensor what Relu-13 and Identity-14 mean (they admit more types of
#        values), so that the converter, which comes with the format, takes models of floats back over them.
# Seen:  Relu goes from opset 17 to 14, and not to 13; with an Identity behind it a model goes to 16, and not to 15:
#        RuntimeError: … No Adapter From Version $14 for Relu, … $16 for Identity
# So an Identity at the end of a file, put there to name the output, keeps it from runtimes of opset 15 for nothing.
#
# Installs onnx into a temporary folder; fails if it behaves otherwise.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check onnx==1.23.2
"$folder/venv/bin/python" - <<'END'
import onnx
from onnx import TensorProto, helper, version_converter


def model(*operators):
    names = ["x", *(f"h{i}" for i in range(1, len(operators))), "y"]
    nodes = [helper.make_node(op, [a], [b]) for op, a, b in zip(operators, names, names[1:])]
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 3]) for name in "xy")
    made = helper.make_model(helper.make_graph(nodes, "g", [x], [y]), opset_imports=[helper.make_opsetid("", 17)])
    onnx.checker.check_model(made, full_check=True)
    return made


def convert(made, opset):
    try:
        return f"opset {version_converter.convert_version(made, opset).opset_import[0].version}"
    except RuntimeError as error:
        return f"RuntimeError: {str(error).strip().splitlines()[-1]}"


seen = {
    "Relu to 14": convert(model("Relu"), 14),
    "Relu, Identity to 16": convert(model("Relu", "Identity"), 16),
    "Relu to 13": convert(model("Relu"), 13),
    "Relu, Identity to 15": convert(model("Relu", "Identity"), 15),
}
print(onnx.__version__, *(f"{what}: {result}" for what, result in seen.items()), sep="\n")
*works, relu, identity = seen.values()
assert works == ["opset 14", "opset 16"]
assert relu.endswith("No Adapter From Version $14 for Relu")
assert identity.endswith("No Adapter From Version $16 for Identity")
END
echo "as described"
