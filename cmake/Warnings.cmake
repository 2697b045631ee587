# Warnings are errors on g++ and clang; sanitizers and hardening are chosen by the preset.
add_compile_options(-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual
                    -Wundef -Werror -fno-omit-frame-pointer)
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  # g++ 12's flow-based version of this one finds null pointers in libstdc++ and Asio that cannot be.
  add_compile_options(-Wnull-dereference -Wthread-safety -Wno-gnu-statement-expression)
endif()
if(NANDU_SANITIZE)
  add_compile_options(-fsanitize=${NANDU_SANITIZE} -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${NANDU_SANITIZE})
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    add_compile_options(-Wno-maybe-uninitialized)  # g++ 12 is wrong about values in sanitized code
  else()
    # Undefined behaviour is looked for in nandu, not in every instantiation of the libraries' templates: half of the code otherwise.
    # Relative and by the option's old name, so that ccache knows it and its content in every clone.
    file(RELATIVE_PATH sanitizer_ignores ${CMAKE_BINARY_DIR} ${CMAKE_CURRENT_LIST_DIR}/sanitizer-ignores.txt)
    add_compile_options(-fsanitize-blacklist=${sanitizer_ignores})
  endif()
endif()
if(CMAKE_BUILD_TYPE STREQUAL "Release")
  add_compile_options(-D_FORTIFY_SOURCE=2 -fstack-protector-strong)
  add_link_options(-Wl,-z,relro,-z,now)
endif()
find_program(NANDU_CCACHE ccache)
if(NANDU_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  # Objects are cached by content, whatever directory the clone lies in; what a precompiled header defines is part of its content.
  set(CMAKE_CXX_COMPILER_LAUNCHER env CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1
      CCACHE_SLOPPINESS=pch_defines,time_macros ${NANDU_CCACHE})
endif()
