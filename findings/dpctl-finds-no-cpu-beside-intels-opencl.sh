#!/usr/bin/env bash
# dpctl 0.22.1 and intel-opencl-rt 2026.2.0, both from PyPI: no device is found until the runtime's place is said.
#
# Guess: where Intel's OpenCL runtime for CPUs is installed beside it, from the wheels that belong together, dpctl (on
#        which dpnp stands) lists the CPU as a device.
# Seen:  it lists none. The note by which an OpenCL loader finds a runtime, etc/OpenCL/vendors/intel-cpu.icd, comes
#        with the wheel, but names a folder that is a placeholder of another package manager's. With
#        OCL_ICD_FILENAMES set to the library itself the CPU is there.
#
# Installs both into a temporary folder (1.6 GB); fails if it is otherwise.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
  dpctl==0.22.1 intel-opencl-rt==2026.2.0 intel-sycl-rt==2026.2.0 intel-cmplr-lib-ur==2026.2.0 intel-cmplr-lib-rt==2026.2.0
unset OCL_ICD_FILENAMES
devices() { "$folder/venv/bin/python" -c 'import dpctl; print([d.device_type.name for d in dpctl.get_devices(backend="opencl")])'; }
library="$folder/venv/lib/libintelocl.so"
named="$(cat "$folder/venv/etc/OpenCL/vendors/intel-cpu.icd")"
as_installed="$(devices)"
told="$(OCL_ICD_FILENAMES="$library" devices)"
echo "as installed: $as_installed"
echo "told where:   $told"
[ -e "$library" ]
[ ! -e "$named" ]
[ "$as_installed" = "[]" ]
[ "$told" = "['cpu']" ]
echo "as described"
