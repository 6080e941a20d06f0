# SPDX-License-Identifier: Apache-2.0
# What every folder uses: one way to declare a library, a program, a test.

add_library(gatehouse_options INTERFACE)
target_include_directories(gatehouse_options INTERFACE ${PROJECT_SOURCE_DIR}/src)
target_compile_options(gatehouse_options INTERFACE
  -pthread -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wnon-virtual-dtor -Werror)
target_compile_definitions(gatehouse_options INTERFACE GATEHOUSE_VERSION="${PROJECT_VERSION}")
if(GATEHOUSE_SANITIZE STREQUAL "address")
  target_compile_options(gatehouse_options INTERFACE -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(gatehouse_options INTERFACE -fsanitize=address,undefined)
elseif(GATEHOUSE_SANITIZE STREQUAL "thread")
  target_compile_options(gatehouse_options INTERFACE -fsanitize=thread -fno-omit-frame-pointer)
  target_link_options(gatehouse_options INTERFACE -fsanitize=thread)
elseif(GATEHOUSE_SANITIZE)
  message(FATAL_ERROR "GATEHOUSE_SANITIZE is address or thread, not ${GATEHOUSE_SANITIZE}")
endif()
if(GATEHOUSE_SANITIZE)
  # GCC sees what is not there in instrumented code, in <regex> too (gcc(1), -fsanitize=address).
  target_compile_options(gatehouse_options INTERFACE -Wno-maybe-uninitialized)
endif()

# Sixty tests are linked, each with all libraries: gold takes half the time of the default linker.
find_program(GATEHOUSE_GOLD ld.gold)
if(GATEHOUSE_GOLD)
  add_link_options(-fuse-ld=gold)
endif()

# gatehouse_library(policy SOURCES a.cc b.cc LIBS gatehouse_base yaml-cpp) makes gatehouse_policy.
function(gatehouse_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LIBS" ${ARGN})
  add_library(gatehouse_${name} STATIC ${ARG_SOURCES})
  target_link_libraries(gatehouse_${name} PUBLIC gatehouse_options ${ARG_LIBS})
endfunction()

# GoogleTest's headers take half of the time of a small test, so they are compiled once for all. With -fpch-preprocess
# ccache knows what is in them. Not with ThreadSanitizer: of the macros that it defines, those who use gRPC do not have all.
function(gatehouse_use_test_headers name)
  if(GATEHOUSE_SANITIZE STREQUAL "thread")
    return()
  endif()
  if(NOT TARGET gatehouse_test_headers)
    file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/test_headers.cc CONTENT "")
    add_library(gatehouse_test_headers OBJECT ${PROJECT_BINARY_DIR}/test_headers.cc)
    target_link_libraries(gatehouse_test_headers PRIVATE gatehouse_options GTest::gmock GTest::gtest)
    target_compile_options(gatehouse_test_headers PRIVATE -O0)
    target_precompile_headers(gatehouse_test_headers PRIVATE <gmock/gmock.h> <gtest/gtest.h>)
  endif()
  target_precompile_headers(${name} REUSE_FROM gatehouse_test_headers)
  target_compile_options(${name} PRIVATE $<$<CXX_COMPILER_ID:GNU>:-fpch-preprocess>)
endfunction()

# gatehouse_test(policy_parse_test SOURCES parse_test.cc LIBS gatehouse_policy): a unit test, without
# root. With KERNEL: loads BPF programs; runs as root on this kernel and in virtual machines, and
# carries the CTest label `kernel`.
function(gatehouse_test name)
  cmake_parse_arguments(ARG "KERNEL" "TIMEOUT" "SOURCES;LIBS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${GATEHOUSE_TEST_DIRECTORY})
  target_link_libraries(${name} PRIVATE gatehouse_options ${ARG_LIBS} GTest::gmock GTest::gtest GTest::gtest_main)
  # The compiler would spend a third of its time on optimising assertions; what is tested is optimised in its library.
  target_compile_options(${name} PRIVATE -O0)
  gatehouse_use_test_headers(${name})
  add_test(NAME ${name} COMMAND ${name} WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 300)
  endif()
  set_tests_properties(${name} PROPERTIES TIMEOUT ${ARG_TIMEOUT})
  if(ARG_KERNEL)
    set_tests_properties(${name} PROPERTIES LABELS kernel RESOURCE_LOCK kernel)
  else()
    set_tests_properties(${name} PROPERTIES LABELS unit)
  endif()
endfunction()
