#pragma once

// Ctrl-C and SIGTERM as a stop token.

#include <signal.h>
#include <unistd.h>

#include <iostream>
#include <stop_token>
#include <string>
#include <thread>

/// A stop token that SIGINT (Ctrl-C) or SIGTERM triggers; a second one ends the program. To be called
/// before other threads are started, which would take the signal.
/// @param program  its name, for what is said then
inline std::stop_token stop_on_interrupt(std::string program) {
  static std::stop_source source;
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::thread([signals, program = std::move(program)] {
    int received = 0;
    sigwait(&signals, &received);
    std::cerr << '\n' << program + ": stopping after the work in flight; once more stops at once\n";
    source.request_stop();
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
    while (true) pause();  // so that there is a thread for the second one to end
  }).detach();
  return source.get_token();
}
