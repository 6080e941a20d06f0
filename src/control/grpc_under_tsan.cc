// SPDX-License-Identifier: Apache-2.0
// Only in builds with ThreadSanitizer. The distribution's gRPC is not built with it, so that it
// cannot see how gRPC hands memory from thread to thread, and reports each such hand-over. What is
// reached from a thread of gRPC is therefore not judged; what it calls is tested from threads of
// the tests' own.

extern "C" const char* __tsan_default_suppressions();  // NOLINT(bugprone-reserved-identifier)

extern "C" const char* __tsan_default_suppressions() {  // NOLINT(bugprone-reserved-identifier)
  return "race:libgrpc.so\n"
         "race:libgrpc++.so\n"
         "race:libgpr.so\n"
         "race:libupb.so\n"
         "race:libabsl_\n"
         "race:grpc::\n";
}
