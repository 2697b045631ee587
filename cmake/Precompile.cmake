# Headers that nearly every file includes, parsed once a configuration and not once a file: two thirds of what a fresh clone compiles is them.
# Each file still includes what it uses: `cmake -DNANDU_PRECOMPILE=OFF`, the debug preset's choice, finds one that does not.
option(NANDU_PRECOMPILE "Precompile common headers" ON)
set(nandu_common_headers
    <algorithm> <array> <atomic> <chrono> <condition_variable> <cstdint> <cstring> <deque> <functional> <map> <memory> <mutex> <optional> <span>
    <string> <string_view> <thread> <tuple> <type_traits> <unordered_map> <utility> <variant> <vector> <tl/expected.hpp> <fmt/core.h>
    <boost/describe.hpp> <boost/mp11.hpp> <boost/json/value.hpp>)

# nandu_precompiled_headers(NAME OPTIONS... LIBRARIES libraries... HEADERS headers...): compiles the headers with these options and what using the
# libraries defines, for nandu_precompile(TARGET NAME).
function(nandu_precompiled_headers name)
  cmake_parse_arguments(headers "" "" "LIBRARIES;HEADERS" ${ARGN})
  if(NANDU_PRECOMPILE)
    add_library(${name} OBJECT ${CMAKE_SOURCE_DIR}/cmake/precompiled.cpp)
    target_compile_options(${name} PRIVATE ${headers_UNPARSED_ARGUMENTS})
    target_link_libraries(${name} PRIVATE Threads::Threads ${headers_LIBRARIES})
    target_precompile_headers(${name} PRIVATE ${headers_HEADERS})
  endif()
endfunction()

# The target must be built with the same options.
function(nandu_precompile target name)
  if(NANDU_PRECOMPILE)
    target_precompile_headers(${target} REUSE_FROM ${name})
  endif()
endfunction()

if(NANDU_PRECOMPILE AND CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  # The time a header was written would be a part of what ccache goes by.
  add_compile_options("SHELL:-Xclang -fno-pch-timestamp")
endif()
# The fuzzer is guided by what runs in the rooms, not in the tests.
set(nandu_room_options)
if(NANDU_FUZZ)
  set(nandu_room_options -fsanitize=fuzzer-no-link)
endif()
nandu_precompiled_headers(nandu_headers ${nandu_room_options} HEADERS ${nandu_common_headers})
