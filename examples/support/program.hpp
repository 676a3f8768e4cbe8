#pragma once

// What the commands have in common: one clear sentence and exit status 2 for bad input, 1 for a job
// that failed, 0 for one that is done.

#include <exception>
#include <iostream>
#include <string>

#include <CLI/CLI.hpp>
#include <tilt/tilt.hpp>
#include <tilt/version.hpp>

#include "support/printable.hpp"

/// What the user gave cannot be used: exit status 2.
class BadInput : public tilt::Error {
 public:
  using tilt::Error::Error;
};

/// Parses the command line and runs the job; returns the exit status.
/// @param body  returns the exit status of a job that came to its end
template <class Body>
[[nodiscard]] int run_program(CLI::App& app, int argc, char** argv, Body&& body) {
  const auto complain = [&](const std::string& what) {
    std::cerr << app.get_name() << ": " << printable(what, 1000) << '\n';
  };
  app.set_version_flag("--version", app.get_name() + " " TILT_VERSION, "print it and exit");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help, --version
    complain(std::string(error.what()) + " (" + app.get_name() +
             " --help lists what can be given)");
    return 2;
  }
  try {
    return body();
  } catch (const BadInput& error) {
    complain(error.what());
    return 2;
  } catch (const tilt::InvalidOption& error) {
    complain(error.what());
    return 2;
  } catch (const std::exception& error) {
    complain(error.what());
    return 1;
  }
}
