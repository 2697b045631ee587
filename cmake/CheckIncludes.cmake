# The include-direction check, a part of every build: who may include whom is written in cmake/check-includes.cmake.
file(GLOB_RECURSE nandu_all_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/*.h ${CMAKE_SOURCE_DIR}/src/*.cpp
     ${CMAKE_SOURCE_DIR}/include/*.h)
add_custom_command(
  OUTPUT ${CMAKE_BINARY_DIR}/include-directions.stamp
  COMMAND ${CMAKE_COMMAND} -DROOT=${CMAKE_SOURCE_DIR} -P ${CMAKE_SOURCE_DIR}/cmake/check-includes.cmake
  COMMAND ${CMAKE_COMMAND} -E touch ${CMAKE_BINARY_DIR}/include-directions.stamp
  DEPENDS ${nandu_all_sources} ${CMAKE_SOURCE_DIR}/cmake/check-includes.cmake
  COMMENT "Checking who includes whom")
add_custom_target(include_directions ALL DEPENDS ${CMAKE_BINARY_DIR}/include-directions.stamp)
