// Owns the precompiled headers of cmake/Precompile.cmake, so that no room waits for another one's.
