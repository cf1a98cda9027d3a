// In the place of NVRTC, of which only the version is asked: hostcupy.py puts g++ where CuPy would call it.
extern "C" __attribute__((visibility("default"))) int nvrtcVersion(int* major, int* minor) {
  *major = 12;
  *minor = 9;
  return 0;
}
