# cmake --install, and a .deb by CPack: the binary, its manual page, completion and the licence.
install(TARGETS nandu RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(FILES docs/nandu.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
install(FILES LICENSE README.md DESTINATION ${CMAKE_INSTALL_DOCDIR})

# Completion is printed by the program itself, from the table its command line is parsed with.
foreach(shell_and_file bash:nandu zsh:_nandu fish:nandu.fish)
  string(REPLACE ":" ";" pair ${shell_and_file})
  list(GET pair 0 shell)
  list(GET pair 1 file)
  set(output ${CMAKE_BINARY_DIR}/completion/${shell}/${file})
  add_custom_command(OUTPUT ${output}
    COMMAND ${CMAKE_COMMAND} -E make_directory ${CMAKE_BINARY_DIR}/completion/${shell}
    COMMAND $<TARGET_FILE:nandu> completion ${shell} > ${output}
    DEPENDS nandu VERBATIM)
  list(APPEND completions ${output})
endforeach()
add_custom_target(completion ALL DEPENDS ${completions})
install(FILES ${CMAKE_BINARY_DIR}/completion/bash/nandu DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
install(FILES ${CMAKE_BINARY_DIR}/completion/zsh/_nandu DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/vendor-completions)
install(FILES ${CMAKE_BINARY_DIR}/completion/fish/nandu.fish DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME nandu)
set(CPACK_PACKAGE_VENDOR "The nandu authors")
set(CPACK_PACKAGE_CONTACT "The nandu authors <nandu@example.org>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "lean virtual machine monitor for Linux KVM")
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION
    "nandu runs virtual machines on Linux KVM with QEMU's command line and q35 board:
 one small process per guest, virtio disks and networks through io_uring.")
set(CPACK_DEBIAN_PACKAGE_SECTION admin)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "seabios, ovmf")  # what images boot by
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_STRIP_FILES ON)
set(CPACK_SOURCE_IGNORE_FILES /build/ /\\.git/)
include(CPack)
