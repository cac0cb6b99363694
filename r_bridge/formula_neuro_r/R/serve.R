# An R of its own for a process that cannot, or shall not, hold R itself: requests come one after another.

# Each line of stdin is a request's number, its content lies in the folder; the number goes back when the reply
# lies there. Whatever R, a package or a child process prints goes elsewhere: `reply_to` carries nothing else.
# The end of stdin is the end of the process that asks: nothing is left behind.
serve <- function(folder, reply_to) {
  bell <- file("stdin", "rb")
  back <- file(reply_to, "wb", raw = TRUE)
  sink(stderr())
  while (length(number <- readLines(bell, 1L))) {
    reply(file.path(folder, "request"), file.path(folder, "reply"))
    writeBin(charToRaw(paste0(number, "\n")), back)
    flush(back)
  }
  unlink(folder, recursive = TRUE)
}

reply <- function(request, place) {
  asked <- with_file(request, "rb", read_value)
  value <- answer(asked$name, asked$arguments)
  rm(asked)
  tryCatch(with_file(place, "wb", function(to) write_value(value, to)), error = function(condition) {
    failure <- list(status = "error", text = conditionMessage(condition), messages = character())
    with_file(place, "wb", function(to) write_value(failure, to))
  })
}

with_file <- function(path, mode, work) {
  connection <- file(path, mode)
  on.exit(close(connection))
  work(connection)
}
