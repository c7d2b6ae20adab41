DELETE FROM node WHERE name = $1
