# nandu_module(NAME LIBRARIES libraries...): a shared object of src/modules/NAME.cpp that brings these libraries to the VMs that need them
# (base/module.h). Built with the program, found beside it in the build tree, installed to <libdir>/nandu.
function(nandu_module name)
  cmake_parse_arguments(module "" "" "LIBRARIES" ${ARGN})
  add_library(nandu_module_${name} MODULE ${CMAKE_SOURCE_DIR}/src/modules/${name}.cpp)
  target_include_directories(nandu_module_${name} PRIVATE ${CMAKE_SOURCE_DIR}/src ${CMAKE_SOURCE_DIR}/include)
  target_link_libraries(nandu_module_${name} PRIVATE ${module_LIBRARIES})
  set_target_properties(nandu_module_${name} PROPERTIES PREFIX "" OUTPUT_NAME ${name}
                        LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/modules)
  # Plain tables of C functions: they bring no C++ library of their own along.
  if(NOT NANDU_SANITIZE)
    target_link_options(nandu_module_${name} PRIVATE -static-libgcc -static-libstdc++)
  endif()
  add_dependencies(nandu nandu_module_${name})
  install(TARGETS nandu_module_${name} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/nandu)
endfunction()
